package engineio

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/engine"
)

// CORS says which pages of other origins may read the answers, as the npm
// package cors does.
type CORS struct {
	// Origins that are allowed, such as "https://example.com"; "*" alone is all.
	Origins []string
	// AllowOrigin allows more of them.
	AllowOrigin func(origin string) bool
	// Methods that a preflight allows; nil: GET, HEAD, PUT, PATCH, POST, DELETE.
	Methods []string
	// AllowedHeaders that a preflight allows; nil: those that it asks for.
	AllowedHeaders []string
	// ExposedHeaders may be read by the page.
	ExposedHeaders []string
	// Credentials lets the browser send cookies.
	Credentials bool
	// MaxAge is how long a preflight is good for; 0: not said.
	MaxAge time.Duration
}

// corsPolicy is what CORS comes down to; nil is none.
type corsPolicy struct {
	CORS
	fixed string // the only origin, or "*"
}

func (c *CORS) policy() (*corsPolicy, error) {
	if c == nil {
		return nil, nil
	}
	p := &corsPolicy{CORS: *c}
	if len(c.Origins) == 1 && c.AllowOrigin == nil {
		p.fixed = c.Origins[0]
	} else if slices.Contains(c.Origins, "*") {
		return nil, fmt.Errorf("%w: CORS origin * beside others", ErrOptions)
	}
	if p.Methods == nil {
		p.Methods = []string{"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"}
	}
	return p, nil
}

// fields are the header fields of an answer to a request.
func (p *corsPolicy) fields(r *Request) (all []engine.HeaderField) {
	if p == nil {
		return nil
	}
	add := func(name, value string) { all = append(all, engine.HeaderField{Name: name, Value: value}) }
	origin := r.Origin()
	switch {
	case p.fixed == "*":
		add("Access-Control-Allow-Origin", "*")
	case p.fixed != "":
		add("Access-Control-Allow-Origin", p.fixed)
		add("Vary", "Origin")
	default:
		if origin != "" && (slices.Contains(p.Origins, origin) || p.AllowOrigin != nil && p.AllowOrigin(origin)) {
			add("Access-Control-Allow-Origin", origin)
		}
		add("Vary", "Origin")
	}
	if p.Credentials {
		add("Access-Control-Allow-Credentials", "true")
	}
	if len(p.ExposedHeaders) > 0 {
		add("Access-Control-Expose-Headers", strings.Join(p.ExposedHeaders, ","))
	}
	return all
}

// apply sets the header fields of an answer. It reports whether there is a
// policy.
func (p *corsPolicy) apply(h http.Header, r *Request) bool {
	for _, f := range p.fields(r) {
		h.Add(f.Name, f.Value)
	}
	return p != nil
}

// preflight answers OPTIONS, behind apply.
func (p *corsPolicy) preflight(w http.ResponseWriter, r *Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", strings.Join(p.Methods, ","))
	if p.AllowedHeaders != nil {
		h.Set("Access-Control-Allow-Headers", strings.Join(p.AllowedHeaders, ","))
	} else {
		vary(h, "Access-Control-Request-Headers")
		if asked := r.Header("Access-Control-Request-Headers"); asked != "" {
			h.Set("Access-Control-Allow-Headers", asked)
		}
	}
	if p.MaxAge > 0 {
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(p.MaxAge/time.Second)))
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusNoContent)
}

func vary(h http.Header, name string) {
	if before := h.Get("Vary"); before != "" {
		name = before + ", " + name
	}
	h.Set("Vary", name)
}
