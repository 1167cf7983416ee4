package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxToken is the default of Options.MaxToken.
const maxToken = 8 << 10

// Options are those of a Verifier.
type Options struct {
	// Sources are at least one; several need an Issuer each.
	Sources []Source
	// Algorithms narrows what the keys' kinds allow; nil: all of Algorithms().
	Algorithms []string
	// Audience must be in the claim aud; "": aud is not looked at.
	Audience string
	// RequireExpiry refuses tokens without exp.
	RequireExpiry bool
	// Leeway is by how much clocks may differ.
	Leeway time.Duration
	// MaxToken is the longest token in bytes; 0: 8,192.
	MaxToken int
	// Client fetches key sets; nil: one that follows no redirects and gives up
	// after 5 s.
	Client *http.Client
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Verifier verifies tokens. Its methods are safe from any goroutine.
type Verifier struct {
	opts    Options
	parser  *jwt.Parser
	sources []*source
}

// New makes a Verifier. Errors wrap ErrOptions. Close it when it is not needed
// any more.
func New(opts Options) (*Verifier, error) {
	if opts.MaxToken == 0 {
		opts.MaxToken = maxToken
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Algorithms == nil {
		opts.Algorithms = Algorithms()
	}
	for _, alg := range opts.Algorithms {
		if !slices.Contains(Algorithms(), alg) {
			return nil, fmt.Errorf("%w: algorithm %q: want some of %v", ErrOptions, alg, Algorithms())
		}
	}
	switch {
	case len(opts.Algorithms) == 0:
		return nil, fmt.Errorf("%w: no algorithm", ErrOptions)
	case len(opts.Sources) == 0:
		return nil, fmt.Errorf("%w: no source of keys", ErrOptions)
	case opts.Leeway < 0 || opts.MaxToken < 0:
		return nil, fmt.Errorf("%w: a negative limit", ErrOptions)
	}
	v := &Verifier{opts: opts, parser: newParser(&opts)}
	for i, s := range opts.Sources {
		if s.Issuer == "" && len(opts.Sources) > 1 {
			return nil, fmt.Errorf("%w: several sources need an issuer each", ErrOptions)
		}
		if slices.ContainsFunc(opts.Sources[:i], func(o Source) bool { return o.Issuer == s.Issuer }) {
			return nil, fmt.Errorf("%w: two sources for issuer %q", ErrOptions, s.Issuer)
		}
		src, err := newSource(s, &v.opts)
		if err != nil {
			v.Close()
			return nil, err
		}
		v.sources = append(v.sources, src)
	}
	return v, nil
}

func newParser(opts *Options) *jwt.Parser {
	options := []jwt.ParserOption{
		jwt.WithValidMethods(opts.Algorithms),
		jwt.WithLeeway(opts.Leeway),
		jwt.WithTimeFunc(opts.Now),
		jwt.WithStrictDecoding(),
	}
	if opts.Audience != "" {
		options = append(options, jwt.WithAudience(opts.Audience))
	}
	if opts.RequireExpiry {
		options = append(options, jwt.WithExpirationRequired())
	}
	return jwt.NewParser(options...)
}

// Verify checks a token and returns what it says. It may fetch keys, and waits
// for them until ctx ends. Errors wrap ErrToken, ErrExpired or ErrUnavailable.
func (v *Verifier) Verify(ctx context.Context, text string) (*Identity, error) {
	if len(text) > v.opts.MaxToken {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrToken, len(text), v.opts.MaxToken)
	}
	var c claims
	_, err := v.parser.ParseWithClaims(text, &c, func(t *jwt.Token) (any, error) {
		return v.key(ctx, t, c.Issuer)
	})
	switch {
	case err == nil:
	case errors.Is(err, ErrUnavailable):
		return nil, err
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, ErrExpired
	default:
		return nil, fmt.Errorf("%w: %s", ErrToken, reason(err))
	}
	id, err := c.identity()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return id, nil
}

// key returns the key that must have signed t. Nothing of t is to be trusted
// yet: it selects among what was configured.
func (v *Verifier) key(ctx context.Context, t *jwt.Token, issuer string) (any, error) {
	if _, critical := t.Header["crit"]; critical {
		return nil, errors.New("critical header fields are not supported") // RFC 7515 4.1.11
	}
	kid := ""
	if given, ok := t.Header["kid"]; ok {
		if kid, ok = given.(string); !ok {
			return nil, errors.New("header kid is no string")
		}
	}
	for _, s := range v.sources {
		if s.issuer == "" || s.issuer == issuer {
			return s.key(ctx, t.Method.Alg(), kid)
		}
	}
	return nil, errors.New("unknown issuer")
}

// reason says in a few words what is wrong with a token.
func reason(err error) string {
	for _, known := range []struct {
		err  error
		text string
	}{
		{jwt.ErrTokenMalformed, "malformed"},
		{jwt.ErrTokenNotValidYet, "not valid yet"},
		{jwt.ErrTokenInvalidAudience, "for another audience"},
		{jwt.ErrTokenRequiredClaimMissing, "a required claim is missing"},
		{jwt.ErrTokenUnverifiable, "no key for it"},
		{jwt.ErrTokenSignatureInvalid, "bad algorithm or signature"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	return "bad claims"
}

// Prefetch fetches what sources need from elsewhere, so that mistakes show
// early. Its errors wrap ErrUnavailable; Verify tries again.
func (v *Verifier) Prefetch(ctx context.Context) error {
	var errs []error
	for _, s := range v.sources {
		if s.fetch != nil {
			errs = append(errs, s.fetch(ctx))
		}
	}
	return errors.Join(errs...)
}

// Close ends fetches that are under way.
func (v *Verifier) Close() {
	for _, s := range v.sources {
		s.close()
	}
}
