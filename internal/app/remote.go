package app

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"framepipe/experiment/result"
	"framepipe/internal/lab"
	"framepipe/internal/secure"
)

// ownReceiver is where a receiver on this machine has its page unless told otherwise.
const ownReceiver = "http://127.0.0.1:8080"

// remote is a receiver that carries out experiments for us.
type remote struct {
	base  string // its page, without a slash at the end
	token string
	http  *http.Client
}

// httpError is what a receiver answered instead of doing it.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return e.text }

// newRemote reads --receiver and what lets us in.
func newRemote(c *cli.Command, base string) (*remote, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
		return nil, usagef("as in "+ownReceiver, "--receiver %q: give the address of the receiver's page", base)
	}
	token, err := tokenOf(c)
	if err != nil {
		return nil, err
	}
	if token == "auto" && c.String("token-file") == "" { // a receiver of this user keeps it there
		dir := c.String("state")
		if dir == "" {
			if dir, err = secure.StateDir(); err != nil {
				return nil, usagef("say where with --state", "there is no place where the token is kept: %w", err)
			}
		}
		if token, err = secure.KeepToken(dir); err != nil {
			return nil, fmt.Errorf("the token that is kept cannot be read: %w", err)
		}
	}
	return &remote{base: strings.TrimSuffix(base, "/"), token: token, http: &http.Client{Timeout: 5 * time.Minute}}, nil
}

// receiverFor is the receiver that is to carry the experiment out: the one that
// --receiver names, or one of ours on this machine that has the port which cameras
// connect to. It is nil when this process is to be the receiver.
func receiverFor(ctx context.Context, c *cli.Command) (*remote, error) {
	if c.IsSet("receiver") {
		if c.Bool("local") {
			return nil, usagef("", "--local and --receiver exclude each other")
		}
		return newRemote(c, c.String("receiver"))
	}
	if c.Bool("local") {
		return nil, nil
	}
	ln, err := net.Listen("tcp", c.String("listen"))
	if err == nil {
		return nil, ln.Close()
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return nil, nil // the receiver to be will say what is wrong
	}
	r, err := newRemote(c, ownReceiver)
	if err != nil {
		return nil, err
	}
	if !r.isOurs(ctx) {
		return nil, &hinted{fmt.Errorf("%s is taken, and no receiver of ours answers at %s", c.String("listen"), ownReceiver),
			"if it is framepipe receive with another --http, give its page with --receiver http://…; else choose another port with --listen"}
	}
	return r, nil
}

// isOurs reports whether a receiver of this program answers.
func (r *remote) isOurs(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/healthz", nil)
	if err != nil {
		return false
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return strings.HasPrefix(resp.Header.Get("Server"), "framepipe/")
}

// call asks the receiver, and reads its answer into to.
func (r *remote) call(ctx context.Context, method, path string, body, to any) error {
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, send)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return &httpError{resp.StatusCode, cmp.Or(oneLine(strings.TrimSpace(string(b))), resp.Status)}
	}
	if raw, ok := to.(*[]byte); ok {
		*raw, err = io.ReadAll(resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(to)
}

// explain makes a message for people of what the receiver answered.
func (r *remote) explain(err error) error {
	e, ok := errors.AsType[*httpError](err)
	_, unknown := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case unknown:
		return &hinted{fmt.Errorf("the receiver at %s: %w", r.base, err), "its certificate is its own: run this on the receiver's machine with --receiver http://127.0.0.1:8080, or start the receiver with --tls-cert that this machine trusts, or with --http-plain"}
	case !ok:
		return &hinted{fmt.Errorf("the receiver at %s: %w", r.base, err), "is framepipe receive running there, with --http?"}
	case e.status == http.StatusBadRequest:
		return &usageError{e, ""}
	case e.status == http.StatusUnauthorized, e.status == http.StatusForbidden && r.token != "":
		return &usageError{fmt.Errorf("the receiver at %s: %w", r.base, err), "give it with --token or --token-file"}
	case e.status == http.StatusNotFound && strings.Contains(e.text, "page not found"):
		return fmt.Errorf("what answers at %s cannot carry out experiments: it is another program, or an older framepipe", r.base)
	}
	return fmt.Errorf("the receiver at %s: %w", r.base, err)
}

// runRemote has a receiver carry out the experiment, and keeps --out as the folder
// would be had it been carried out here.
func runRemote(ctx context.Context, e *env, c *cli.Command, con *console, r *remote, folder *result.Folder) error {
	log := con.logger()
	log.Info("the experiment is carried out by the receiver at " + r.base)
	st, err := r.begin(ctx, c, folder)
	if err != nil {
		return discard(folder, err)
	}
	if err := folder.Close(); err != nil { // the receiver writes now
		return err
	}
	st, err = r.follow(ctx, con, folder.Dir, st)
	con.setStatus("")
	if err != nil {
		return err
	}
	switch {
	case !st.Folder:
		e := errors.New(cmp.Or(st.Cause, "stopped before anything was measured"))
		if st.State == lab.Stopped {
			return discard(folder, nil)
		}
		if st.Refused {
			return discard(folder, &usageError{e, cmp.Or(st.Hint, "change this level in the plan; framepipe devices tells what the camera can do")})
		}
		return discard(folder, e)
	case st.State == lab.Stopped && ctx.Err() == nil:
		log.Info("stopped at the receiver; what was measured is kept. To go on: framepipe experiment run --resume --out " + folder.Dir)
	case st.State == lab.Stopped:
		log.Info("stopped; what was measured is kept. To go on: framepipe experiment run --resume --out " + folder.Dir)
	case st.State == lab.Failed:
		err = errors.New(st.Cause)
	}
	if e := makeReport(e, folder.Dir); e != nil {
		err = errors.Join(err, folderError(e))
	}
	return err
}

// begin starts the experiment, or goes on with the one of which folder is a copy.
func (r *remote) begin(ctx context.Context, c *cli.Command, folder *result.Folder) (st lab.Status, err error) {
	if !c.Bool("resume") {
		text, err := folder.Plan.YAML()
		if err != nil {
			return st, err
		}
		if err := r.call(ctx, http.MethodPost, "/experiments", map[string]any{"camera": c.String("camera"), "plan": string(text)}, &st); err != nil {
			return st, r.explain(err)
		}
		return st, nil
	}
	id := folder.Manifest.ID
	if id == "" {
		return st, usagef("end framepipe receive, then go on with the same command", "%s was not begun by a receiver, so no receiver can go on with it", folder.Dir)
	}
	path := "/experiments/" + url.PathEscape(id)
	if err := r.call(ctx, http.MethodGet, path, nil, &st); err != nil {
		return st, r.explain(err)
	}
	if st.Records < len(folder.Valid()) {
		return st, usagef("end framepipe receive, then go on with the same command", "%s has more records (%d) than the receiver's %s (%d): it went on without the receiver", folder.Dir, len(folder.Valid()), id, st.Records)
	}
	if st.State == lab.Running || st.State == lab.Done {
		return st, nil
	}
	if err := r.call(ctx, http.MethodPost, path+"/resume", struct{}{}, &st); err != nil {
		return st, r.explain(err)
	}
	return st, nil
}

// Times of following.
const (
	askEvery   = 250 * time.Millisecond
	patience   = 30 * time.Second // with a receiver that does not answer
	stopWithin = time.Minute      // a report of many records takes a while
)

// follow shows how the experiment goes until it ends, and copies what it has
// measured. When ctx ends it stops the experiment.
func (r *remote) follow(ctx context.Context, con *console, dir string, st lab.Status) (lab.Status, error) {
	path := "/experiments/" + url.PathEscape(st.ID)
	shown, records, answered := 0, -1, time.Now()
	log := con.logger()
	show := func() {
		for _, m := range st.Messages {
			var level slog.Level
			_ = level.UnmarshalText([]byte(m.Level)) // unknown ones are shown as information
			var attrs []any
			for _, a := range m.Attrs {
				attrs = append(attrs, a[0], a[1])
			}
			log.Log(context.Background(), level, m.Text, attrs...)
		}
		shown = st.Last
		if st.Progress != nil {
			con.setStatus(st.Progress.Line)
		}
	}
	for {
		show()
		if st.Folder && st.Records != records && (st.State != lab.Running || st.Records > 0) {
			if err := r.copy(context.WithoutCancel(ctx), path, dir); err != nil {
				return st, err
			}
			records = st.Records
		}
		if st.State != lab.Running {
			if !st.Folder {
				return st, nil
			}
			return st, r.copy(context.WithoutCancel(ctx), path, dir)
		}
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
			con.setStatus("stopping …")
			bg, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
			defer cancel()
			if err := r.call(bg, http.MethodPost, path+"/stop", struct{}{}, &st); err != nil {
				return st, r.explain(err)
			}
			continue
		}
		var next lab.Status
		soon, cancel := context.WithTimeout(ctx, patience/3)
		err := r.call(soon, http.MethodGet, fmt.Sprintf("%s?after=%d", path, shown), nil, &next)
		cancel()
		_, refused := errors.AsType[*httpError](err)
		switch {
		case err == nil:
			st, answered = next, time.Now()
		case ctx.Err() != nil:
		case refused, time.Since(answered) > patience:
			return st, &hinted{r.explain(err), "what is there so far is in " + dir + "; --resume --out " + dir + " goes on once the receiver is back"}
		}
	}
}

// copy brings the raw files into dir: frame logs that grew, then the small ones,
// records.csv last, so that no row is without its frames whenever this ends.
func (r *remote) copy(ctx context.Context, path, dir string) error {
	fail := func(err error) error {
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			return folderError(err)
		}
		return r.explain(err)
	}
	small := []string{result.PlanFile, result.ManifestFile, result.VisitsFile, result.RecordsFile}
	texts := make([][]byte, len(small))
	for i := len(small) - 1; i >= 0; i-- { // records first, so that the logs that follow have all of them
		err := r.call(ctx, http.MethodGet, path+"/files/"+small[i], nil, &texts[i])
		if e, ok := errors.AsType[*httpError](err); ok && e.status == http.StatusNotFound && small[i] == result.ManifestFile {
			continue // no camera yet
		}
		if err != nil {
			return fail(err)
		}
	}
	var files []struct {
		Name  string `json:"name"`
		Bytes int64  `json:"bytes"`
	}
	if err := r.call(ctx, http.MethodGet, path+"/files", nil, &files); err != nil {
		return fail(err)
	}
	for _, f := range files {
		if ok, err := filepath.Match("frames-*.csv.zst", f.Name); err != nil || !ok {
			continue
		}
		to := filepath.Join(dir, f.Name)
		if fi, err := os.Stat(to); err == nil && fi.Size() == f.Bytes {
			continue
		}
		var b []byte
		if err := r.call(ctx, http.MethodGet, path+"/files/"+url.PathEscape(f.Name), nil, &b); err != nil {
			return fail(err)
		}
		if err := result.WriteFile(to, b); err != nil {
			return fail(err)
		}
	}
	for i, name := range small {
		if texts[i] == nil {
			continue
		}
		if err := result.WriteFile(filepath.Join(dir, name), texts[i]); err != nil {
			return fail(err)
		}
	}
	return nil
}
