// Package result keeps what an experiment measured: a folder of plain files that
// is complete after every record, whatever ends the run, and from which
// everything that is shown can be made again.
//
//	plan.yaml            what was to be done
//	manifest.json        by which programs on which machines
//	records.csv          one row a record
//	visits.jsonl         each visit to a cell: what was asked, what the camera
//	                     answered, how the machines fared before and after
//	frames-CELL-REPEAT.csv.zst  every frame of these records (measure.FrameLog)
//
// are raw. The rest is made from them by package report: summaries in the
// origin's format, bench.txt, report.html, figures.
//
// A record is written in two steps: its frames are appended to the frame log as
// one compressed frame of their own (RFC 8878: several one behind the other are
// one file), and then its row to records.csv, which says where the log ends. Both
// are synced. Whatever was cut off in between is cut away when the folder is
// opened again: the row is what counts.
//
// Columns and keys are only ever added, and readers look them up by name, so
// folders of older versions stay readable.
package result

// FormatVersion is that of the folder, in the manifest.
const FormatVersion = 1

// Names of the raw files.
const (
	PlanFile     = "plan.yaml"
	ManifestFile = "manifest.json"
	RecordsFile  = "records.csv"
	VisitsFile   = "visits.jsonl"
)
