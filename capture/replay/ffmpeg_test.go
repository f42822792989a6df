package replay

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"framepipe/capture"
	"framepipe/capture/internal/alarm"
)

func tool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s here", name)
	}
	out, err := exec.Command(path, append([]string{"-v", "error"}, args...)...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return out
}

// The frames and times that we find in files of ffmpeg are the ones that ffprobe
// finds: with variable frame rate, several streams, clusters of known and unknown
// length, and AVI's empty chunks.
func TestFilesOfFFmpeg(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		args []string
	}{
		{"even.avi", nil}, {"even.mkv", nil},
		{"uneven.mkv", []string{"-vf", "select='not(eq(mod(n,7),3))'", "-fps_mode", "vfr"}},
		{"dropped.avi", []string{"-vf", "select='not(eq(mod(n,7),3))'", "-fps_mode", "vfr"}},
		{"clusters.mkv", []string{"-cluster_time_limit", "200"}},
		{"live.mkv", []string{"-live", "1", "-cluster_time_limit", "300"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, c.name)
			args := append([]string{"-nostdin", "-y", "-f", "lavfi", "-i", "sine=frequency=440:duration=4", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=24000/1001", "-frames:v", "80"}, c.args...)
			tool(t, "ffmpeg", append(args, "-c:v", "mjpeg", "-c:a", "pcm_s16le", path)...)
			rows, err := csv.NewReader(bytes.NewReader(tool(t, "ffprobe", "-select_streams", "v", "-show_entries", "packet=pts_time,dts_time,size", "-of", "csv=p=0", path))).ReadAll()
			if err != nil || len(rows) < 60 {
				t.Fatalf("%d packets, %v", len(rows), err)
			}
			src, err := openSource(path, preload)
			if err != nil {
				t.Fatal(err)
			}
			cam := &camera{}
			r, err := cam.dispatch(src, time.Second/30)
			if err != nil {
				t.Fatal(err)
			}
			items := r.(*indexed).items
			first, i := -1.0, 0
			for _, row := range rows {
				at, err := strconv.ParseFloat(row[0], 64)
				if err != nil {
					at, err = strconv.ParseFloat(row[1], 64) // AVI has decoding times only
				}
				size, err2 := strconv.Atoi(row[2])
				if err != nil || err2 != nil {
					t.Fatalf("row %v", row)
				}
				if size == 0 {
					continue
				}
				if first < 0 {
					first = at
				}
				if i >= len(items) {
					t.Fatalf("%d frames, ffprobe finds more", len(items))
				}
				if d := items[i].at.Seconds() - (at - first); items[i].n != size || d > 0.0011 || d < -0.0011 {
					t.Errorf("frame %d: %d bytes at %v, ffprobe says %d at %.4f", i, items[i].n, items[i].at, size, at-first)
				}
				i++
			}
			if i != len(items) {
				t.Errorf("%d frames, ffprobe finds %d", len(items), i)
			}
			if share := r.(*indexed).share; share < 35*time.Millisecond || share > 50*time.Millisecond {
				t.Errorf("last frame's share %v", share)
			}
		})
	}
}

// A file that was cut off anywhere still gives its whole frames.
func TestCutFiles(t *testing.T) {
	for _, name := range []string{"tiny.avi", "tiny.mkv", "live.mkv", "tiny.mjpeg"} {
		src, err := openSource("testdata/"+name, preload)
		if err != nil {
			t.Fatal(err)
		}
		most := 0
		for n := 0; n <= len(src.mem); n += 97 {
			cam := &camera{timer: alarm.New()}
			var err error
			if cam.reel, err = cam.dispatch(&source{mem: src.mem[:n], size: int64(n)}, time.Second); err != nil {
				continue
			}
			got := 0
			for {
				f, err := cam.Next(t.Context())
				if err != nil {
					if err != io.EOF {
						t.Errorf("%s cut at %d: %v", name, n, err)
					}
					break
				}
				f.Release()
				got++
			}
			if got < most {
				t.Errorf("%s cut at %d gives %d frames, cut earlier it gave %d", name, n, got, most)
			}
			most = got
		}
		if most < 6 {
			t.Errorf("%s: %d frames at most", name, most)
		}
	}
}

func ExampleOpen() {
	c, err := openWithin("replay:testdata/tiny.avi?rate=max", capture.Config{}, preload)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	info := c.Info()
	fmt.Printf("%s %dx%d, %g fps\n", info.Driver, info.Width, info.Height, info.FPS)
	// Output: AVI 64x48, 10 fps
}
