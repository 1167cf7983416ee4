package vectors

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// httpCase says what a transcript of HTTP requests leaves out.
type httpCase struct {
	app    string
	refuse *refusal
	play   func(*replay, []step) // nil: each step after the other
}

// httpCases holds the transcripts whose steps are not simply done in turn.
// A GET that a step calls parked was sent before the steps that answer it.
var httpCases = map[string]httpCase{
	"polling session: handshake, connect, events, close": {app: "hi: bin, uni", play: func(r *replay, s []step) {
		r.do(s[0])
		r.do(s[1])
		r.do(s[2])
		get := r.park(s[4].Request)
		r.do(s[3])
		if r.deviation.splits {
			r.gather(get, s[4], s[5])
		} else {
			r.finish(get, s[4])
			r.do(s[5])
		}
		get = r.park(s[7].Request)
		r.do(s[6])
		r.finish(get, s[7])
		r.do(s[8])
	}},
	"forbidden (allowRequest(null,false))": {refuse: &refusal{}},
	"forbidden with a message":             {refuse: &refusal{"too busy"}},

	"overlapping GETs": {play: func(r *replay, s []step) {
		r.do(s[0])
		get := r.park(s[2].Request)
		r.do(s[1])
		r.finish(get, s[2])
		r.do(s[3])
	}},
	"overlapping POSTs": {play: func(r *replay, s []step) {
		r.do(s[0])
		first := r.park(s[2].Request)
		second := r.start(s[1].Request)
		if r.late = string(r.wait(second).body) == "ok"; r.late {
			return // it came first
		}
		r.finish(second, s[1])
		r.finish(first, s[2])
	}},
	"GET aborted by the client while parked": {play: func(r *replay, s []step) {
		r.do(s[0])
		r.park(s[1].Request).Close()
		r.awaitSessions(0)
		r.do(s[2])
	}},
	"client sends a ping (EIO4: wrong direction)": {play: postWhileParked},
	"Socket.IO level garbage over polling":        {play: postWhileParked},

	"server closes (io.engine client close) while a GET is parked": {play: func(r *replay, s []step) {
		r.do(s[0])
		r.connect(s[1].Request)
		get := r.park(s[1].Request)
		r.srv.kick(r.T, true)
		r.finish(get, s[1])
		r.do(s[2])
	}},
	"io.close() while a GET is parked": {play: func(r *replay, s []step) {
		r.do(s[0])
		r.connect(s[1].Request)
		get := r.park(s[1].Request)
		r.srv.shutdown(r.T)
		r.finish(get, s[1])
	}},

	"httpCompression: Accept-Encoding 'gzip', body 1023 bytes":    {app: "go", play: compressed(1023)},
	"httpCompression: Accept-Encoding 'gzip', body 1024 bytes":    {app: "go", play: compressed(1024)},
	"httpCompression: Accept-Encoding 'deflate', body 2000 bytes": {app: "go", play: compressed(2000)},
	"httpCompression: Accept-Encoding 'br', body 2000 bytes":      {app: "go", play: compressed(2000)},
	"httpCompression: Accept-Encoding '', body 2000 bytes":        {app: "go", play: compressed(2000)},
}

// separator is between the packets of a payload.
const separator = 0x1e

// gather compares the packets of several polls, however the server splits them
// over its own. get is the first.
func (r *replay) gather(get *call, steps ...step) {
	r.Helper()
	var want [][]byte
	for _, s := range steps {
		want = append(want, bytes.Split(r.parse(s).body, []byte{separator})...)
	}
	for len(want) > 0 {
		a := r.wait(get)
		if err := compareAnswers(r.ids, r.parse(steps[0]), a); err != nil {
			r.Fatal(err)
		}
		for packet := range bytes.SplitSeq(a.body, []byte{separator}) {
			if len(want) == 0 {
				r.Fatalf("one packet more: %s", shown(packet))
			}
			if err := r.ids.match(want[0], packet); err != nil {
				r.Fatal(err)
			}
			want = want[1:]
		}
		if len(want) > 0 {
			get = r.start(steps[0].Request)
		}
	}
}

// postWhileParked does the POST of the second step while the GET of the third waits.
func postWhileParked(r *replay, s []step) {
	r.do(s[0])
	get := r.park(s[2].Request)
	r.do(s[1])
	r.finish(get, s[2])
}

// compressed makes the app emit an event of n bytes.
func compressed(n int) func(*replay, []step) {
	return func(r *replay, s []step) {
		r.do(s[0])
		get := sessionRequest("GET", s[0], "")
		r.connect(get)
		r.silently(sessionRequest("POST", s[0], fmt.Sprintf(`42["go",%d]`, n)))
		c := r.start(s[1].Request)
		r.finish(c, s[1])
		body, err := decode(c.answer)
		if want := fmt.Sprintf(`42["x","%s"]`, strings.Repeat("a", n-len(`42["x",""]`))); err != nil || string(body) != want {
			r.Errorf("decoded body %s, %v", shown(body), err)
		}
	}
}

// connect joins the main namespace over polling; get is a GET of the session.
func (r *replay) connect(get string) {
	r.Helper()
	r.silently(postRequest(get, "40"))
	if body := r.silently(get); len(body) < 2 || body[:2] != "40" {
		r.Fatalf("%q in answer to CONNECT", body)
	}
}

func TestHTTP(t *testing.T) {
	for _, v := range loadEngine(t).HTTP {
		c := httpCases[v.Name]
		play := c.play
		if play == nil {
			play = func(r *replay, steps []step) {
				for _, s := range steps {
					r.do(s)
				}
			}
		}
		t.Run(v.Name, func(t *testing.T) {
			run(t, v.transcript, setup{style: "transport", app: c.app, refuse: c.refuse}, func(r *replay) {
				steps := v.Steps
				if r.deviation.steps != nil {
					steps = r.deviation.steps
				}
				if r.deviation.edit != nil {
					steps = slices.Clone(steps)
					for i := range steps {
						r.deviation.edit(&steps[i])
					}
				}
				play(r, steps)
			})
		})
	}
}

// compareBodies compares the bodies of answers; of a long one, the transcript
// has only the beginning, and the size when it is not compressed.
func (r *replay) compareBodies(s step, want, got answer) error {
	if s.ResponseHead == "" {
		return r.ids.match(want.body, got.body)
	}
	if got.header.Get("Content-Encoding") != "" {
		return nil // the case looks into it
	}
	if len(got.body) != s.BodyBytes || !bytes.HasPrefix(got.body, mustHex(s.BodyStart)) {
		return fmt.Errorf("got %s\nwant %d bytes that begin with %s", shown(got.body), s.BodyBytes, s.BodyStart)
	}
	return nil
}

// decode undoes Content-Encoding.
func decode(a answer) ([]byte, error) {
	var r io.Reader = bytes.NewReader(a.body)
	var err error
	switch a.header.Get("Content-Encoding") {
	case "":
	case "gzip":
		r, err = gzip.NewReader(r)
	case "deflate":
		r, err = zlib.NewReader(r)
	default:
		err = fmt.Errorf("Content-Encoding %q", a.header.Get("Content-Encoding"))
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
