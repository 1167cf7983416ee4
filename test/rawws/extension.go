package rawws

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Params are the agreed parameters of permessage-deflate. RFC 7692 7.1
type Params struct {
	ServerNoContextTakeover bool
	ClientNoContextTakeover bool
	ServerMaxWindowBits     int // 8..15; 15 when not named
	ClientMaxWindowBits     int
}

// extension is one element of a Sec-WebSocket-Extensions list. A parameter
// without a value has an empty one.
type extension struct {
	name   string
	params map[string]string
}

var windowBits = regexp.MustCompile(`^(8|9|1[0-5])$`)

// negotiated checks a server's answer against the client's offers and returns
// what both now hold. Any doubt is an error: a client must fail the connection.
func negotiated(offers, answer string) (p Params, ok bool, err error) {
	if answer == "" {
		return p, false, nil
	}
	got, err := parseExtensions(answer)
	if err != nil {
		return p, false, err
	}
	if len(got) != 1 || got[0].name != "permessage-deflate" {
		return p, false, errors.New("not exactly one permessage-deflate in the answer")
	}
	if p, err = parseParams(got[0].params); err != nil {
		return p, false, err
	}
	offered, err := parseExtensions(offers)
	if err != nil {
		offered = lenientExtensions(offers)
	}
	if !slices.ContainsFunc(offered, func(o extension) bool { return answers(got[0].params, p, o) }) {
		return p, false, errors.New("the answer fits no offer")
	}
	return p, true, nil
}

// parseParams checks the forms that parameters have in a response. RFC 7692 7.1.1, 7.1.2
func parseParams(params map[string]string) (p Params, err error) {
	p = Params{ServerMaxWindowBits: 15, ClientMaxWindowBits: 15}
	for name, value := range params {
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if value != "" {
				return p, fmt.Errorf("%s has value %q", name, value)
			}
			if name[0] == 's' {
				p.ServerNoContextTakeover = true
			} else {
				p.ClientNoContextTakeover = true
			}
		case "server_max_window_bits", "client_max_window_bits":
			if !windowBits.MatchString(value) {
				return p, fmt.Errorf("%s has value %q", name, value)
			}
			n, _ := strconv.Atoi(value)
			if name[0] == 's' {
				p.ServerMaxWindowBits = n
			} else {
				p.ClientMaxWindowBits = n
			}
		default:
			return p, fmt.Errorf("unknown parameter %q", name)
		}
	}
	return p, nil
}

// answers says whether a response with these parameters may follow offer o.
func answers(params map[string]string, p Params, o extension) bool {
	if !o.wellFormed() {
		return false
	}
	if _, asked := o.params["server_no_context_takeover"]; asked && !p.ServerNoContextTakeover {
		return false
	}
	if v, asked := o.params["server_max_window_bits"]; asked {
		if n, _ := strconv.Atoi(v); p.ServerMaxWindowBits > n {
			return false
		}
	}
	_, limits := params["client_max_window_bits"]
	_, can := o.params["client_max_window_bits"]
	return can || !limits // RFC 7692 7.1.2.2: never unasked
}

// wellFormed says whether a server may accept the offer o at all.
func (o extension) wellFormed() bool {
	params := maps.Clone(o.params)
	if params["client_max_window_bits"] == "" {
		delete(params, "client_max_window_bits")
	}
	_, err := parseParams(params)
	return o.name == "permessage-deflate" && err == nil
}

var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func parseExtensions(list string) ([]extension, error) {
	var all []extension
	for item := range strings.SplitSeq(list, ",") {
		e := extension{params: map[string]string{}}
		for i, part := range strings.Split(item, ";") {
			name, value, hasValue := strings.Cut(strings.TrimSpace(part), "=")
			value = strings.Trim(value, `"`)
			if !token.MatchString(name) || hasValue && !token.MatchString(value) {
				return nil, fmt.Errorf("malformed extension %q", item)
			}
			if i == 0 {
				e.name = name
				continue
			}
			if _, twice := e.params[name]; twice {
				return nil, fmt.Errorf("parameter %q twice", name)
			}
			e.params[name] = value
		}
		all = append(all, e)
	}
	return all, nil
}

// lenientExtensions reads the well-formed elements of a list that has others too.
func lenientExtensions(list string) (all []extension) {
	for item := range strings.SplitSeq(list, ",") {
		if e, err := parseExtensions(item); err == nil {
			all = append(all, e...)
		}
	}
	return all
}
