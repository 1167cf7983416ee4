package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
)

// How key sets are fetched and kept.
const (
	fetchTimeout = 5 * time.Second
	maxKeySet    = 1 << 20          // bytes
	maxKeys      = 100              // in a set
	freshFor     = 10 * time.Minute // then a new set is fetched while the old one serves
	usableFor    = 24 * time.Hour   // without a fetch that succeeds
	fetchPause   = 10 * time.Second // between fetches, also when a token names an unknown key
)

// keySet is a JWKS behind one URL: keys of different URLs never meet, so an
// issuer's key id can't name another issuer's key.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time
	ctx    context.Context // ends with close
	cancel context.CancelFunc

	mu       sync.Mutex
	keys     []namedKey
	fetched  time.Time     // when keys came; zero: never
	tried    time.Time     // when the last fetch began
	err      error         // of the last fetch
	fetching chan struct{} // closed when the one under way ends; nil: none is
}

// namedKey is a key of a set.
type namedKey struct {
	kid, alg string // alg "": any that suits
	key      any
}

func newKeySet(address string, opts *Options) (*keySet, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("%w: key set %q: want an https URL", ErrOptions, address)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("%w: key set %q: want https, or http on a loopback address", ErrOptions, address)
	}
	s := &keySet{url: address, client: opts.Client, now: opts.Now}
	if s.client == nil {
		s.client = &http.Client{
			Timeout:       fetchTimeout,
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// close ends a fetch under way.
func (s *keySet) close() { s.cancel() }

// key returns the key with the id kid, or without one the only key that suits
// alg. A set that does not have it is fetched again, but not more often than
// every fetchPause: tokens name what they like.
func (s *keySet) key(ctx context.Context, alg, kid string) (any, error) {
	s.mu.Lock()
	key, err := s.lookupLocked(alg, kid)
	now := s.now()
	due := s.fetching == nil && now.Sub(s.tried) >= fetchPause
	if err == nil {
		if due && now.Sub(s.fetched) >= freshFor {
			s.startLocked()
		}
		s.mu.Unlock()
		return key, nil
	}
	if due {
		s.startLocked()
	}
	wait := s.fetching
	s.mu.Unlock()
	if wait == nil {
		return nil, err
	}
	select {
	case <-wait:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lookupLocked(alg, kid)
}

// prefetch fetches the set unless it is there.
func (s *keySet) prefetch(ctx context.Context) error {
	_, err := s.key(ctx, "", "")
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return nil
}

func (s *keySet) lookupLocked(alg, kid string) (any, error) {
	if s.fetched.IsZero() || s.now().Sub(s.fetched) >= usableFor {
		if s.err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, s.err)
		}
		return nil, ErrUnavailable
	}
	var found any
	for _, k := range s.keys {
		if kid != "" && k.kid != kid || k.alg != "" && k.alg != alg || !suits(k.key, alg) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%w: the key set has several keys that it could be", ErrToken)
		}
		found = k.key
	}
	if found == nil {
		return nil, fmt.Errorf("%w: the key set has no such key", ErrToken)
	}
	return found, nil
}

// startLocked begins a fetch, which is nobody's: who waits for it may leave.
func (s *keySet) startLocked() {
	s.tried = s.now()
	done := make(chan struct{})
	s.fetching = done
	go func() {
		keys, err := s.fetch()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err = err; err == nil {
			s.keys, s.fetched = keys, s.now()
		}
		s.fetching = nil
		close(done)
	}()
}

func (s *keySet) fetch() ([]namedKey, error) {
	ctx, cancel := context.WithTimeout(s.ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", s.url, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxKeySet {
		return nil, fmt.Errorf("GET %s: more than %d bytes", s.url, maxKeySet)
	}
	return parseKeySet(body)
}

// parseKeySet reads a JWK set (RFC 7517 5). Keys that are not for signatures,
// that are secret or of an unknown kind are left out: a set may serve others
// than us.
func parseKeySet(body []byte) ([]namedKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("no key set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("a key set of %d keys, at most %d", len(set.Keys), maxKeys)
	}
	var keys []namedKey
	for _, raw := range set.Keys {
		if key, ok := parseKey(raw); ok {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("a key set without a key that could be used")
	}
	return keys, nil
}

func parseKey(raw json.RawMessage) (namedKey, bool) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &m); err != nil || m.USE != "" && m.USE != jwkset.UseSig {
		return namedKey{}, false
	}
	m.X5C, m.X5U, m.X5T, m.X5TS256 = nil, "", "", "" // the key itself is what counts
	jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil || len(algorithms(jwk.Key())) == 0 {
		return namedKey{}, false
	}
	return namedKey{kid: m.KID, alg: string(m.ALG), key: jwk.Key()}, true
}
