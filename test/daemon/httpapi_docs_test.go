package daemon

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// example is a request of docs/api.md.
type example struct {
	method, path string
	header       http.Header
	body         string
	answer       string // that the page shows; "": none
}

// examples reads the curl commands of docs/api.md, and the answers that stand behind
// them.
func examples(t *testing.T) (all []example) {
	t.Helper()
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```")
	for i := 1; i < len(blocks); i += 2 {
		language, code, _ := strings.Cut(blocks[i], "\n")
		switch {
		case language == "json" && strings.HasPrefix(code, `{"error"`):
		case language == "json":
			all[len(all)-1].answer = strings.TrimSpace(code)
		case language == "sh":
			for line := range strings.Lines(strings.ReplaceAll(code, "\\\n", " ")) {
				all = append(all, parseCurl(t, line))
			}
		default:
			t.Errorf("a block of %q", language)
		}
	}
	return all
}

// parseCurl reads a command of curl with the options that the page uses.
func parseCurl(t *testing.T, line string) example {
	t.Helper()
	const base = "http://127.0.0.1:9090"
	e := example{method: http.MethodGet, header: http.Header{}}
	words := shellWords(line)
	if len(words) == 0 || words[0] != "curl" {
		t.Fatalf("no curl: %q", line)
	}
	for i := 1; i < len(words); i++ {
		switch w := words[i]; {
		case w == "-s":
		case w == "-X":
			i++
			e.method = words[i]
		case w == "-H":
			i++
			name, value, _ := strings.Cut(words[i], ": ")
			e.header.Set(name, value)
		case w == "-d":
			i++
			e.method, e.body = http.MethodPost, words[i]
		case strings.HasPrefix(w, base):
			e.path = strings.TrimPrefix(w, base)
		default:
			t.Fatalf("%q in %q", w, line)
		}
	}
	return e
}

// shellWords are the words of a line with quotes of both kinds.
func shellWords(line string) (words []string) {
	var word strings.Builder
	quote, inWord := rune(0), false
	for _, r := range line + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ' || r == '\n':
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	return words
}

// What docs/api.md shows does what it says.
func TestAPIExamples(t *testing.T) {
	s := wsdproc.Start(t, append([]string{"serve", "--admin-token", "$TOKEN", "--drain-lb-wait", "0s"}, sioArgs...)...)
	a := apiOf(t, s, "$TOKEN")
	c := subscribe(t, s.Addr, "news")
	l := listen(t, s.Addr, listener{User: "ann", Rooms: []string{"room-1"}})
	all := examples(t)
	if len(all) < 15 {
		t.Errorf("%d examples", len(all))
	}
	replayed := 0
	for _, e := range all {
		if e.path == "/v1/drain" {
			c.Conn.Close()
		}
		res, body := a.send(e.method, e.path, e.header, e.body)
		a.asDescribed(e.method, e.path, res, body)
		if res.StatusCode/100 != 2 {
			t.Errorf("%+v: %d %s", e, res.StatusCode, body)
		}
		if got := strings.TrimSpace(string(body)); e.answer != "" && got != e.answer {
			t.Errorf("%+v: %s", e, got)
		}
		if e.header.Get("Idempotency-Key") != "" {
			if res, again := a.send(e.method, e.path, e.header, e.body); res.Header.Get("Idempotent-Replayed") != "true" || string(again) != string(body) {
				t.Errorf("%+v again: %d %s", e, res.StatusCode, again)
			}
			replayed++
		}
	}
	if replayed == 0 {
		t.Error("no example has an idempotency key")
	}
	for _, event := range []string{"hello", "hello", "hello", "question"} {
		l.expect(event, 0)
	}
	if code := s.Wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, s.Log())
	}
}
