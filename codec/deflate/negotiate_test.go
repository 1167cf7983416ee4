package deflate_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/deflate"
)

func TestNegotiate(t *testing.T) {
	const none = ""
	shared := deflate.Config{}
	dedicated := deflate.Config{ContextTakeover: true}
	small := deflate.Config{ContextTakeover: true, ServerMaxWindowBits: 11, ClientMaxWindowBits: 10}
	const both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	cases := []struct {
		name   string
		config deflate.Config
		offer  string
		want   string // the response, or none
	}{
		{"no field", shared, "", none},
		{"another extension", shared, "x-webkit-deflate-frame", none},
		{"bare", shared, "permessage-deflate", both},
		{"bare, dedicated", dedicated, "permessage-deflate", "permessage-deflate"},
		{"a browser", shared, "permessage-deflate; client_max_window_bits", both},
		{"a browser, dedicated", dedicated, "permessage-deflate; client_max_window_bits", "permessage-deflate"},
		{"both no context", dedicated, both, both},
		{"server no context", dedicated, "permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"},
		{"client no context", dedicated, "permessage-deflate;client_no_context_takeover", "permessage-deflate; client_no_context_takeover"},
		{"server bits 8", shared, "permessage-deflate; server_max_window_bits=8", both + "; server_max_window_bits=8"},
		{"server bits 15", shared, "permessage-deflate; server_max_window_bits=15", both + "; server_max_window_bits=15"},
		{"server bits quoted", dedicated, `permessage-deflate; server_max_window_bits="10"`, "permessage-deflate; server_max_window_bits=10"},
		{"server bits quoted, escaped", dedicated, `permessage-deflate; server_max_window_bits="1\0"`, "permessage-deflate; server_max_window_bits=10"},
		{"client bits", dedicated, "permessage-deflate; client_max_window_bits=9", "permessage-deflate; client_max_window_bits=9"},
		{"client bits 15", dedicated, "permessage-deflate; client_max_window_bits=15", "permessage-deflate"},
		{"small, bare", small, "permessage-deflate", "permessage-deflate; server_max_window_bits=11"},
		{"small, a browser", small, "permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=11; client_max_window_bits=10"},
		{"small, smaller offered", small, "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8", "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8"},
		{"small, larger offered", small, "permessage-deflate; server_max_window_bits=14; client_max_window_bits=14", "permessage-deflate; server_max_window_bits=11; client_max_window_bits=10"},

		{"server bits without value", shared, "permessage-deflate; server_max_window_bits", none},
		{"server bits 7", shared, "permessage-deflate; server_max_window_bits=7", none},
		{"server bits 16", shared, "permessage-deflate; server_max_window_bits=16", none},
		{"server bits 0", shared, "permessage-deflate; server_max_window_bits=0", none},
		{"server bits 08", shared, "permessage-deflate; server_max_window_bits=08", none},
		{"server bits +9", shared, "permessage-deflate; server_max_window_bits=+9", none},
		{"server bits 100", shared, "permessage-deflate; server_max_window_bits=100", none},
		{"server bits not a number", shared, "permessage-deflate; server_max_window_bits=ten", none},
		{"server bits empty", shared, "permessage-deflate; server_max_window_bits=", none},
		{"server bits quoted and empty", shared, `permessage-deflate; server_max_window_bits=""`, none},
		{"client bits 7", shared, "permessage-deflate; client_max_window_bits=7", none},
		{"client bits 16", shared, "permessage-deflate; client_max_window_bits=16", none},
		{"client bits twice", shared, "permessage-deflate; client_max_window_bits; client_max_window_bits=10", none},
		{"server bits twice", shared, "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", none},
		{"no context twice", shared, both + "; client_no_context_takeover", none},
		{"server no context with a value", shared, "permessage-deflate; server_no_context_takeover=true", none},
		{"client no context with a value", shared, `permessage-deflate; client_no_context_takeover="1"`, none},
		{"unknown parameter", shared, "permessage-deflate; fast", none},
		{"other case", shared, "Permessage-Deflate", none},

		{"second offer", shared, "permessage-deflate; fast, permessage-deflate", both},
		{"first of two", dedicated, "permessage-deflate; server_max_window_bits=9, permessage-deflate", "permessage-deflate; server_max_window_bits=9"},
		{"second after other extensions", shared, `foo; a="b", bar;c, permessage-deflate;client_max_window_bits = 12 ,,`, both + "; client_max_window_bits=12"},
		{"tabs and no spaces", shared, "\tpermessage-deflate\t;\tserver_no_context_takeover;client_no_context_takeover\t", both},
		{"grammar: nothing after ;", shared, "permessage-deflate;", none},
		{"grammar: nothing before ;", shared, "; a, permessage-deflate", none},
		{"grammar: two words", shared, "permessage-deflate client_max_window_bits", none},
		{"grammar: open quote", shared, `permessage-deflate, foo; a="b`, none},
		{"grammar: open escape", shared, `permessage-deflate, foo; a="b\`, none},
		{"grammar: quoted space", shared, `permessage-deflate, foo; a="b c"`, none},
		{"grammar: control byte", shared, "permessage-deflate, foo\x01", none},
		{"grammar: behind a quote", shared, `permessage-deflate; server_max_window_bits="10"0`, none},
	}
	for _, c := range cases {
		p, ok := deflate.Negotiate([]byte(c.offer), c.config)
		got := none
		if ok {
			got = string(p.AppendResponse(nil))
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if !ok && p != (deflate.Params{}) {
			t.Errorf("%s: parameters %+v of a declined offer", c.name, p)
		}
	}
}

func TestNegotiateParams(t *testing.T) {
	p, ok := deflate.Negotiate([]byte("permessage-deflate; server_max_window_bits=10; client_max_window_bits"), deflate.Config{ContextTakeover: true})
	if !ok || p.ServerMaxWindowBits != 10 || p.ClientMaxWindowBits != 15 || p.ServerNoContextTakeover || p.ClientNoContextTakeover {
		t.Errorf("%+v, %v", p, ok)
	}
	p, ok = deflate.Negotiate([]byte("permessage-deflate"), deflate.Config{})
	if !ok || p.ServerMaxWindowBits != 15 || p.ClientMaxWindowBits != 15 || !p.ServerNoContextTakeover || !p.ClientNoContextTakeover {
		t.Errorf("%+v, %v", p, ok)
	}
}

// legalAnswer is the oracle of FuzzNegotiate: RFC 7692 7.1 and 5.1 by regular
// expression and list, for one offer. It says what is wrong with answering
// offer with response.
func legalAnswer(offer, response string) error {
	const token = "[-!#$%&'*+.^_`|~0-9A-Za-z]+"
	whole := regexp.MustCompile(`^[ \t]*permessage-deflate[ \t]*(;[ \t]*` + token + `[ \t]*(=[ \t]*(` + token + `|"(\\?` + token[:len(token)-1] + `)+"))?[ \t]*)*$`)
	if !whole.MatchString(offer) {
		return fmt.Errorf("%q is not an offer", offer)
	}
	asked, err := parameters(offer)
	if err != nil {
		return err
	}
	for name, v := range asked {
		bits, err := strconv.Atoi(v)
		inRange := err == nil && bits >= 8 && bits <= 15 && strconv.Itoa(bits) == v
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if v != "-" {
				return fmt.Errorf("%s has a value", name)
			}
		case "server_max_window_bits":
			if !inRange {
				return fmt.Errorf("%s is %q", name, v)
			}
		case "client_max_window_bits":
			if !inRange && v != "-" {
				return fmt.Errorf("%s is %q", name, v)
			}
		default:
			return fmt.Errorf("unknown parameter %q", name)
		}
	}

	given, err := parameters(response)
	if err != nil {
		return err
	}
	bits := func(v string, most string) bool {
		n, err := strconv.Atoi(v)
		m, _ := strconv.Atoi(most)
		return err == nil && n >= 8 && n <= m
	}
	if _, ok := asked["server_no_context_takeover"]; ok && given["server_no_context_takeover"] != "-" {
		return fmt.Errorf("server_no_context_takeover is not answered")
	}
	if v, ok := asked["server_max_window_bits"]; ok && !bits(given["server_max_window_bits"], v) {
		return fmt.Errorf("server_max_window_bits %q answered with %q", v, given["server_max_window_bits"])
	}
	if v, ok := given["client_max_window_bits"]; ok {
		most, ok := asked["client_max_window_bits"]
		if most == "-" {
			most = "15"
		}
		if !ok || !bits(v, most) {
			return fmt.Errorf("client_max_window_bits %q answered with %q", most, v)
		}
	}
	for name, v := range given {
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if v != "-" {
				return fmt.Errorf("%s answered with %q", name, v)
			}
		case "server_max_window_bits", "client_max_window_bits":
			if !bits(v, "15") {
				return fmt.Errorf("%s answered with %q", name, v)
			}
		default:
			return fmt.Errorf("answered with %q", name)
		}
	}
	return nil
}

// parameters maps the names of one well-formed element to their values, "-"
// without one.
func parameters(element string) (map[string]string, error) {
	m := map[string]string{}
	for _, p := range strings.Split(element, ";")[1:] {
		name, v, found := strings.Cut(p, "=")
		name = strings.Trim(name, " \t")
		if _, twice := m[name]; twice {
			return nil, fmt.Errorf("%s twice", name)
		}
		m[name] = "-"
		if found {
			m[name] = strings.NewReplacer(`"`, "", `\`, "").Replace(strings.Trim(v, " \t"))
		}
	}
	return m, nil
}

// FuzzNegotiate: whatever is accepted answers the first legal offer, legally;
// and a field with a legal offer, all of it well-formed, is not declined.
func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{
		"permessage-deflate; client_max_window_bits",
		`foo; a="b\c", permessage-deflate; server_max_window_bits="8"; client_max_window_bits=15,`,
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover, permessage-deflate; x",
	} {
		f.Add(s, true, uint8(15), uint8(9))
	}
	const token = "[-!#$%&'*+.^_`|~0-9A-Za-z]+"
	value := `(` + token + `|"(\\?` + token[:len(token)-1] + `)+")`
	param := `[ \t]*;[ \t]*` + token + `[ \t]*(=[ \t]*` + value + `)?`
	element := `([ \t]*` + token + `(` + param + `)*)?[ \t]*`
	field := regexp.MustCompile(`^` + element + `(,` + element + `)*$`)
	f.Fuzz(func(t *testing.T, offers string, takeover bool, server, client uint8) {
		c := deflate.Config{ContextTakeover: takeover, ServerMaxWindowBits: int(server), ClientMaxWindowBits: int(client)}
		p, ok := deflate.Negotiate([]byte(offers), c)
		response := string(p.AppendResponse(nil))
		wellFormed := field.MatchString(offers)
		if ok && !wellFormed {
			t.Fatalf("%q is not well-formed and was accepted", offers)
		}
		if !wellFormed {
			return
		}
		const answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8"
		first := slices.IndexFunc(strings.Split(offers, ","), func(o string) bool { return legalAnswer(o, answer) == nil })
		if ok != (first >= 0) {
			t.Fatalf("%q: accepted %v, legal offer %d", offers, ok, first)
		}
		if !ok {
			return
		}
		offer := strings.Split(offers, ",")[first]
		if err := legalAnswer(offer, response); err != nil {
			t.Fatalf("%q answered with %q: %v", offer, response, err)
		}
		if !takeover && !(p.ServerNoContextTakeover && p.ClientNoContextTakeover) {
			t.Fatalf("%q: %+v in shared mode", offer, p)
		}
		if strings.Contains(response, "server_no_context_takeover") != p.ServerNoContextTakeover ||
			strings.Contains(response, "client_no_context_takeover") != p.ClientNoContextTakeover ||
			!strings.Contains(response, "server_max_window_bits") && p.ServerMaxWindowBits != 15 ||
			!strings.Contains(response, "client_max_window_bits") && p.ClientMaxWindowBits != 15 {
			t.Fatalf("%+v is not what %q says", p, response)
		}
	})
}
