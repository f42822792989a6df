package app

import (
	"context"
	"testing"

	"github.com/urfave/cli/v3"
)

// Only worked out, never dialled: these addresses are somebody's.
func TestAddress(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want string
		says bool
		err  bool
	}{
		{"the origin's, said so", nil, "192.168.0.108:1308", true, false},
		{"last number", []string{"-ip", "17"}, "192.168.0.17:1308", false, false},
		{"last number, long", []string{"--ip_last_number=17"}, "192.168.0.17:1308", false, false},
		{"host", []string{"laptop.local"}, "laptop.local:1308", false, false},
		{"host and port", []string{"laptop:99"}, "laptop:99", false, false},
		{"IPv6", []string{"fe80::1"}, "[fe80::1]:1308", false, false},
		{"IPv6 and port", []string{"[fe80::1]:99"}, "[fe80::1]:99", false, false},
		{"options behind the address", []string{"laptop", "-ip", "3"}, "laptop:1308", false, false},
		{"port out of range", []string{"laptop:70000"}, "", false, true},
		{"port is no number", []string{"laptop:http"}, "", false, true},
		{"two", []string{"a", "b"}, "", false, true},
		{"last number out of range", []string{"-ip", "256"}, "", false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cmd := sendCommand(&env{})
			var got, how string
			var err error
			cmd.Action = func(_ context.Context, c *cli.Command) error {
				got, how, err = address(c)
				return nil
			}
			if e := cmd.Run(context.Background(), append([]string{"send"}, tc.args...)); e != nil {
				t.Fatal(e)
			}
			if got != tc.want || (how != "") != tc.says || (err != nil) != tc.err {
				t.Errorf("address %q, said %q, error %v; want %q, said something: %v, error: %v", got, how, err, tc.want, tc.says, tc.err)
			}
		})
	}
}
