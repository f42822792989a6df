package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"framepipe/capture"
	"framepipe/capture/open"
	"framepipe/capture/v4l2src"
	"framepipe/internal/doctor"
	"framepipe/stream"
)

func devicesCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "devices", Usage: "list the cameras here: formats, sizes, frame rates, controls",
		Flags: withEnv("devices", []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
			&cli.BoolFlag{Name: "network", Usage: "list the receivers on the local network, and their cameras, instead"},
		}),
		Action: func(ctx context.Context, c *cli.Command) error {
			if c.Bool("network") {
				return networkDevices(ctx, e, c.Bool("json"))
			}
			list, err := open.Devices(ctx)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				if list == nil {
					list = []v4l2src.DeviceInfo{}
				}
				return writeJSON(e.stdout, list)
			}
			return printDevices(e.stdout, list)
		},
	}
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func printDevices(w io.Writer, list []v4l2src.DeviceInfo) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "no camera found")
		fmt.Fprintln(w, "framepipe doctor says what may be wrong; the synthetic camera is always there: --source pattern")
	}
	for _, d := range list {
		source := d.Path
		if strings.HasPrefix(source, "/dev/") {
			source = "v4l2:" + source
		}
		fmt.Fprintf(w, "%s  %s\n  --source %s   driver %s, bus %s\n", d.Path, d.Name, source, d.Driver, d.Bus)
		if d.Error != "" {
			fmt.Fprintf(w, "  %s\n", d.Error)
		}
		for _, f := range d.Formats {
			use := f.Word
			if use == "" {
				use = "not usable here"
			}
			fmt.Fprintf(w, "  %s (%s, %s)\n", f.FourCC, f.Description, use)
			for _, s := range f.Sizes {
				if s.MinWidth > 0 {
					fmt.Fprintf(w, "    %dx%d to %dx%d  %s\n", s.MinWidth, s.MinHeight, s.Width, s.Height, rates(s))
					continue
				}
				fmt.Fprintf(w, "    %dx%d  %s\n", s.Width, s.Height, rates(s))
			}
		}
		for _, c := range d.Controls {
			fmt.Fprintf(w, "  --control %s=%d   %s\n", c.Name, c.Value, controlRange(c))
		}
	}
	return nil
}

func rates(s v4l2src.SizeInfo) string {
	if len(s.FPS) == 0 {
		return ""
	}
	if s.MinFPS > 0 && len(s.FPS) == 1 {
		return fmt.Sprintf("%g to %g fps", s.MinFPS, s.FPS[0])
	}
	var all []string
	for _, f := range s.FPS {
		all = append(all, fmt.Sprintf("%.4g", f))
	}
	return strings.Join(all, ", ") + " fps"
}

func controlRange(c capture.Control) string {
	var b strings.Builder
	switch {
	case len(c.Menu) > 0:
		for i, m := range c.Menu {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%d=%s", m.Value, m.Label)
		}
	case c.Type == "button":
		b.WriteString("button")
	default:
		fmt.Fprintf(&b, "%d to %d", c.Min, c.Max)
		if c.Step > 1 {
			fmt.Fprintf(&b, " in steps of %d", c.Step)
		}
		fmt.Fprintf(&b, ", default %d", c.Default)
	}
	if flags := slices.Clone(c.Flags); len(flags) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(flags, ", "))
	}
	return b.String()
}

func doctorCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "find what makes it slow or fail here, each with the way to mend it; with the address of a receiver, on the way to it too", ArgsUsage: "[ADDRESS]",
		Flags: withEnv("doctor", []cli.Flag{
			&cli.StringFlag{Name: "token", Usage: "the receiver's `SECRET`"},
			&cli.StringFlag{Name: "token-file", Usage: "read it from `FILE`"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
			&cli.StringFlag{Name: "source", Usage: "look at this camera only, v4l2:/dev/video0"},
		}),
		Action: func(ctx context.Context, c *cli.Command) error {
			text, encode := codecText()
			found := doctor.Run(ctx, doctor.Options{Device: strings.TrimPrefix(c.String("source"), "v4l2:"), Codec: text, Encode: encode, Library: withCgo(), Controls: controlValues(ctx)})
			if c.Args().Present() {
				addr, _, err := address(c)
				if err != nil {
					return err
				}
				sc := stream.SenderConfig{Address: addr, Software: "framepipe " + Version(), Session: newSession()}
				if err := connection(c, &sc); err != nil {
					return err
				}
				found = append(found, linkTest(ctx, sc)...)
			}
			if c.Bool("json") {
				return writeJSON(e.stdout, found)
			}
			return doctor.Render(e.stdout, found)
		},
	}
}

// controlValues reads cameras' controls for the doctor, which opens no camera itself.
func controlValues(ctx context.Context) func(device string) (map[string]int64, error) {
	list, err := open.Devices(ctx)
	return func(device string) (map[string]int64, error) {
		if err != nil {
			return nil, err
		}
		for _, d := range list {
			if d.Path != device {
				continue
			}
			if d.Error != "" {
				return nil, errors.New(d.Error)
			}
			values := map[string]int64{}
			for _, c := range d.Controls {
				values[c.Name] = c.Value
			}
			return values, nil
		}
		return nil, fmt.Errorf("%s is not among the cameras", device)
	}
}
