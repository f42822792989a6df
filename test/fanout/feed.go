//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// A picture carries when it was captured in a comment behind its first marker, so
// that every program that passes JPEGs on untouched can be measured alike:
// FF D8, FF FE, length 10, nanoseconds since 1970 (big endian).
const stampSize = 2 + 2 + 2 + 8

func stamped(jpg []byte) []byte {
	b := append([]byte(nil), jpg[:2]...)
	b = append(b, 0xff, 0xfe, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0)
	return append(b, jpg[2:]...)
}

func setStamp(jpg []byte, at time.Time) { binary.BigEndian.PutUint64(jpg[6:], uint64(at.UnixNano())) }

func readStamp(b []byte) (int64, error) {
	if len(b) < stampSize || b[0] != 0xff || b[1] != 0xd8 || b[2] != 0xff || b[3] != 0xfe || b[4] != 0 || b[5] != 10 {
		return 0, fmt.Errorf("a picture without our stamp: % x", b[:min(len(b), stampSize)])
	}
	return int64(binary.BigEndian.Uint64(b[6:])), nil
}

// feed is a camera that speaks MJPEG over HTTP, for any number of programs.
func feed(addr, jpegFile string, fps float64) error {
	jpg, err := os.ReadFile(jpegFile)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=frame")
		picture := stamped(jpg)
		head := "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: " + strconv.Itoa(len(picture)) + "\r\n\r\n"
		t := time.NewTicker(time.Duration(float64(time.Second) / fps))
		defer t.Stop()
		for {
			select {
			case <-r.Context().Done():
				return
			case <-t.C:
			}
			setStamp(picture, time.Now())
			if _, err := w.Write([]byte(head)); err != nil {
				return
			}
			w.Write(picture)
			if _, err := w.Write([]byte("\r\n")); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	})}
	fmt.Println("ready")
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return s.Shutdown(context.Background())
}
