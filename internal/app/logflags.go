package app

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/urfave/cli/v3"
)

// logFlags choose what is said on standard error, and how.
func logFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "quiet", Usage: "say only what went wrong; the same as --log-level warn"},
		&cli.StringFlag{Name: "log-level", Usage: "say what is at least this important: debug, info, warn or error", DefaultText: "info"},
		&cli.StringFlag{Name: "log-format", Value: "text", Usage: "text (sentences) or json (slog's lines, for programs)"},
	}
}

// consoleOf reads logFlags.
func consoleOf(c *cli.Command, out io.Writer) (*console, error) {
	con := newConsole(out, c.Bool("quiet"))
	switch level := strings.ToLower(c.String("log-level")); level {
	case "":
	case "debug", "info", "warn", "error":
		if err := con.level.UnmarshalText([]byte(level)); err != nil {
			return nil, fmt.Errorf("--log-level: %w", err)
		}
		if c.Bool("quiet") {
			con.level = max(con.level, slog.LevelWarn)
		}
	default:
		return nil, usagef("use debug, info, warn or error", "--log-level %q", level)
	}
	switch format := c.String("log-format"); format {
	case "text":
	case "json":
		con.json = true
	default:
		return nil, usagef("use text or json", "--log-format %q", format)
	}
	return con, nil
}
