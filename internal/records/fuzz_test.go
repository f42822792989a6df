package records

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// FuzzFile: whatever stands in the file, opening it keeps within its bounds, what it
// keeps is the same the next time, and a record that is added then is there.
func FuzzFile(f *testing.F) {
	seed, err := os.ReadFile(filepath.Join("testdata", "state", fileName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(seed[:len(seed)-7])
	f.Add([]byte("{\"camera\":\"a\"}\n\x00\x00\x00\n{}\n[]\nnull\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName), content, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := Config{Dir: dir, Cameras: 2, Each: 3, Log: slog.New(slog.DiscardHandler)}
		count := func(b *Book) (n int) {
			if len(b.order) > cfg.Cameras || len(b.order) != len(b.earlier) {
				t.Fatalf("cameras %q, and records of %d", b.order, len(b.earlier))
			}
			for name, all := range b.earlier {
				if len(all) == 0 || len(all) > cfg.Each {
					t.Fatalf("%d records of %q", len(all), name)
				}
				n += len(all)
			}
			return n
		}
		b := Open(cfg)
		first := count(b)
		go b.Run()
		b.Close()
		b = Open(cfg)
		if n := count(b); n != first {
			t.Fatalf("%d records, and %d the next time", first, n)
		}
		go b.Run()
		b.Add(record("added", 7))
		b.Close()
		b = Open(cfg)
		count(b)
		if all := b.Of("added"); len(all) == 0 || all[len(all)-1].Number != 7 {
			t.Fatalf("the record that was added: %v", all)
		}
		go b.Run()
		b.Close()
	})
}
