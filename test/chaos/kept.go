//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// keptRecord is a record as it is printed, and as it is kept.
type keptRecord struct {
	Camera string `json:"camera"`
	Run    string `json:"run"`
	Number int    `json:"record"`
	Frames uint64 `json:"frames"`
}

// parseRecords reads lines of JSON.
func parseRecords(text string) (all []keptRecord, err error) {
	for line := range strings.Lines(text) {
		var r keptRecord
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Run == "" || !strings.HasSuffix(line, "\n") {
			return nil, fmt.Errorf("a record is not whole: %w: %q", err, line)
		}
		all = append(all, r)
	}
	return all, nil
}

// stateDir is the folder of the receivers' state.
func (t *trial) stateDir() string { return filepath.Join(t.disk, "state") }

// keeps checks that every record that a receiver of the trial printed is kept, once and in
// order; of one that was killed, all but the last, which it may just have printed. A
// disk that takes nothing may cost those that are told.
func (t *trial) keeps() error {
	var printed []keptRecord
	optional := make(map[keptRecord]bool)
	for i, p := range t.recvs {
		all, err := parseRecords(p.stdout())
		if err != nil {
			return err
		}
		if n := len(all); i < len(t.recvs)-1 && n > 0 {
			optional[all[n-1]] = true
		}
		printed = append(printed, all...)
	}
	b, err := os.ReadFile(filepath.Join(t.stateDir(), "records.jsonl"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	text := string(b)
	spare := 0
	if t.fault.disk {
		text = text[:strings.LastIndexByte(text, '\n')+1] // the disk may have gone in the middle of a line
		n, _ := t.toldLost(t.recv, `(\d+) records were not kept`)
		if spare = int(n); strings.Contains(t.recv.stderr(), "the disk does not take the newest ones") {
			spare = len(printed)
		}
	}
	kept, err := parseRecords(text)
	if err != nil {
		return err
	}
	return compareKept(kept, printed, optional, spare)
}

// compareKept looks for printed among kept; so many as spare may be missing, and those
// that are optional.
func compareKept(kept, printed []keptRecord, optional map[keptRecord]bool, spare int) error {
	k := 0
	for _, r := range printed {
		switch {
		case k < len(kept) && kept[k] == r:
			k++
		case optional[r]:
		case spare > 0:
			spare--
		default:
			return fmt.Errorf("record %+v is not kept where it should be, behind %d of %d", r, k, len(kept))
		}
	}
	if more := len(kept) - k; more > 0 {
		return fmt.Errorf("%d records are kept that nobody printed: %+v", more, kept[k:])
	}
	return nil
}
