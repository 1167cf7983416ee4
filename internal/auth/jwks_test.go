package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/auth"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// jwk describes the public half of a key.
func jwk(kid string, key any, more claims) claims {
	b64 := base64.RawURLEncoding.EncodeToString
	c := claims{"kid": kid}
	switch k := key.(interface{ Public() crypto.PublicKey }).Public().(type) {
	case *rsa.PublicKey:
		c["kty"], c["n"], c["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		point, _ := k.Bytes() // 4, x, y
		half := len(point) / 2
		c["kty"], c["crv"] = "EC", k.Params().Name
		c["x"], c["y"] = b64(point[1:1+half]), b64(point[1+half:])
	case ed25519.PublicKey:
		c["kty"], c["crv"], c["x"] = "OKP", "Ed25519", b64(k)
	}
	for name, v := range more {
		c[name] = v
	}
	return c
}

// issuer serves a key set that can be changed.
type issuer struct {
	*httptest.Server
	fetches atomic.Int32
	mu      sync.Mutex
	status  int
	body    []byte
}

func newIssuer(t *testing.T, keys ...claims) *issuer {
	is := &issuer{status: http.StatusOK}
	is.serve(keys...)
	is.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		is.fetches.Add(1)
		is.mu.Lock()
		defer is.mu.Unlock()
		w.WriteHeader(is.status)
		w.Write(is.body)
	}))
	t.Cleanup(is.Close)
	return is
}

func (is *issuer) serve(keys ...claims) {
	body, _ := json.Marshal(claims{"keys": keys})
	is.answer(http.StatusOK, string(body))
}

func (is *issuer) answer(status int, body string) {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.status, is.body = status, []byte(body)
}

// clock is a time that tests move.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return now.Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// An issuer's key id must not reach another issuer's key (centrifugo
// GHSA-g6vg-wj8f-48cj).
func TestTwoIssuersWithTheSameKeyID(t *testing.T) {
	a, b := newIssuer(t, jwk("1", rsaKey, nil)), newIssuer(t, jwk("1", otherRSA, nil))
	v := verifier(t, auth.Options{Sources: []auth.Source{{Issuer: "a", JWKS: a.URL}, {Issuer: "b", JWKS: b.URL}}})
	kid := claims{"kid": "1"}
	for range 2 { // by fetch, by cache
		for _, tt := range []struct {
			name string
			text string
			want error
		}{
			{"a", sign(t, "RS256", rsaKey, with(claims{"iss": "a"}), kid), nil},
			{"b", sign(t, "RS256", otherRSA, with(claims{"iss": "b"}), kid), nil},
			{"a's key, says b", sign(t, "RS256", rsaKey, with(claims{"iss": "b"}), kid), auth.ErrToken},
			{"b's key, says a", sign(t, "RS256", otherRSA, with(claims{"iss": "a"}), kid), auth.ErrToken},
		} {
			if _, err := v.Verify(context.Background(), tt.text); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
	}
	if a.fetches.Load() != 1 || b.fetches.Load() != 1 {
		t.Errorf("fetched %d and %d times", a.fetches.Load(), b.fetches.Load())
	}
}

// What a token says never becomes a request (centrifugo GHSA-j77h-rr39-c552).
func TestNothingInATokenIsFetched(t *testing.T) {
	home, lure := newIssuer(t, jwk("1", rsaKey, nil)), newIssuer(t, jwk("1", otherRSA, nil))
	v := verifier(t, auth.Options{Sources: []auth.Source{{JWKS: home.URL}}})
	forged := sign(t, "RS256", otherRSA, with(claims{"iss": lure.URL, "aud": lure.URL}), claims{
		"kid": lure.URL, "jku": lure.URL, "x5u": lure.URL, "jwk": jwk("1", otherRSA, nil),
	})
	if _, err := v.Verify(context.Background(), forged); !errors.Is(err, auth.ErrToken) {
		t.Error(err)
	}
	if n := lure.fetches.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestKeySetSelection(t *testing.T) {
	set := []claims{
		jwk("rsa", rsaKey, claims{"alg": "RS256"}),
		jwk("ec", p256, nil),
		jwk("ed", edKey, claims{"use": "sig"}),
		jwk("enc", otherRSA, claims{"use": "enc"}),
		jwk("weak", weakRSA, nil),
		{"kid": "oct", "kty": "oct", "k": base64.RawURLEncoding.EncodeToString(secret)},
		{"kid": "new", "kty": "LATTICE"},
		{"kid": "broken", "kty": "RSA", "n": "!", "e": "AQAB"},
	}
	v := verifier(t, auth.Options{Sources: []auth.Source{{JWKS: newIssuer(t, set...).URL}}})
	for _, tt := range []struct {
		name, alg, kid string
		key            any
		want           error
	}{
		{"by id", "RS256", "rsa", rsaKey, nil},
		{"other algorithm than the key's", "RS512", "rsa", rsaKey, auth.ErrToken},
		{"EC", "ES256", "ec", p256, nil},
		{"Ed25519", "EdDSA", "ed", edKey, nil},
		{"without id, one that suits", "ES256", "", p256, nil},
		{"unknown id", "ES256", "x", p256, auth.ErrToken},
		{"id of another kind", "ES256", "rsa", p256, auth.ErrToken},
		{"for encryption", "RS256", "enc", otherRSA, auth.ErrToken},
		{"secret in the set", "HS256", "oct", secret, auth.ErrToken},
	} {
		header := claims{}
		if tt.kid != "" {
			header["kid"] = tt.kid
		}
		if _, err := v.Verify(context.Background(), sign(t, tt.alg, tt.key, with(nil), header)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	twice := verifier(t, auth.Options{Sources: []auth.Source{{JWKS: newIssuer(t, jwk("1", rsaKey, nil), jwk("2", otherRSA, nil)).URL}}})
	if _, err := twice.Verify(context.Background(), sign(t, "RS256", rsaKey, with(nil), nil)); !errors.Is(err, auth.ErrToken) {
		t.Errorf("without id, two that suit: %v", err)
	}
}

func TestKeyRotation(t *testing.T) {
	c, is := &clock{}, newIssuer(t, jwk("1", rsaKey, nil))
	v := verifier(t, auth.Options{Sources: []auth.Source{{JWKS: is.URL}}, Now: c.now, Leeway: 100 * time.Hour})
	first := sign(t, "RS256", rsaKey, with(nil), claims{"kid": "1"})
	second := sign(t, "RS256", otherRSA, with(nil), claims{"kid": "2"})
	verify := func(text string, want error) {
		t.Helper()
		if _, err := v.Verify(context.Background(), text); !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
	verify(first, nil)
	is.serve(jwk("2", otherRSA, nil))
	for range 50 {
		verify(second, auth.ErrToken) // the pause between fetches holds
	}
	if n := is.fetches.Load(); n != 1 {
		t.Fatalf("%d fetches", n)
	}
	c.advance(10 * time.Second)
	verify(second, nil)
	verify(first, auth.ErrToken) // the old key is gone
	if n := is.fetches.Load(); n != 2 {
		t.Fatalf("%d fetches", n)
	}

	// The issuer fails: its keys serve on, for a day.
	is.answer(http.StatusInternalServerError, "")
	c.advance(time.Hour)
	verify(second, nil)
	testkit.Eventually(t, func() bool { return is.fetches.Load() == 3 }, 10*time.Second)
	c.advance(24 * time.Hour)
	verify(second, auth.ErrUnavailable)
	is.serve(jwk("2", otherRSA, nil))
	c.advance(time.Minute)
	verify(second, nil)
}

func TestKeySetThatCannotBeHad(t *testing.T) {
	text := sign(t, "RS256", rsaKey, with(nil), claims{"kid": "1"})
	for name, answer := range map[string]struct {
		status int
		body   string
	}{
		"status":       {http.StatusNotFound, `{"keys":[]}`},
		"redirect":     {http.StatusFound, ""},
		"no JSON":      {http.StatusOK, "<html>"},
		"no keys":      {http.StatusOK, `{"keys":[]}`},
		"keys is null": {http.StatusOK, `{"keys":[null,1,"x",{}]}`},
		"too many":     {http.StatusOK, `{"keys":[` + strings.Repeat("{},", 100) + `{}]}`},
		"too large":    {http.StatusOK, `{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`},
	} {
		is := newIssuer(t)
		is.answer(answer.status, answer.body)
		v := verifier(t, auth.Options{Sources: []auth.Source{{JWKS: is.URL}}})
		if _, err := v.Verify(context.Background(), text); !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		if err := v.Prefetch(context.Background()); !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%s: prefetch: %v", name, err)
		}
	}
	good := verifier(t, auth.Options{Sources: []auth.Source{{JWKS: newIssuer(t, jwk("1", rsaKey, nil)).URL}, {Secret: secret, Issuer: "b"}}[:1]})
	if err := good.Prefetch(context.Background()); err != nil {
		t.Errorf("prefetch: %v", err)
	}
}

// Many who wait for the same keys cause one fetch; who gives up does not end
// it for the others, Close does.
func TestFetchIsShared(t *testing.T) {
	hold := make(chan struct{})
	body, _ := json.Marshal(claims{"keys": []claims{jwk("1", rsaKey, nil)}})
	var fetches atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetches.Add(1)
		select {
		case <-hold:
			w.Write(body)
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	v := verifier(t, auth.Options{Sources: []auth.Source{{JWKS: server.URL}}})
	text := sign(t, "RS256", rsaKey, with(nil), claims{"kid": "1"})
	impatient, cancel := context.WithCancel(context.Background())
	var patient, gone sync.WaitGroup
	for range 10 {
		patient.Go(func() {
			if _, err := v.Verify(context.Background(), text); err != nil {
				t.Error(err)
			}
		})
		gone.Go(func() {
			if _, err := v.Verify(impatient, text); !errors.Is(err, auth.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	testkit.Eventually(t, func() bool { return fetches.Load() == 1 }, 10*time.Second)
	cancel()
	gone.Wait()
	close(hold)
	patient.Wait()
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}

	stuck := make(chan struct{})
	defer close(stuck)
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stuck:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	w := verifier(t, auth.Options{Sources: []auth.Source{{JWKS: silent.URL}}})
	go w.Close()
	if _, err := w.Verify(context.Background(), text); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
}
