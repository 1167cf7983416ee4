package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/auth"
	"github.com/golang-jwt/jwt/v5"
)

var (
	secret = []byte("0123456789abcdef0123456789abcdef")
	now    = time.Unix(1_700_000_000, 0)

	rsaKey, _     = rsa.GenerateKey(rand.Reader, 2048)
	otherRSA, _   = rsa.GenerateKey(rand.Reader, 2048)
	weakRSA, _    = rsa.GenerateKey(rand.Reader, 1024)
	p256, _       = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _       = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	p224, _       = ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	_, edKey, _   = ed25519.GenerateKey(rand.Reader)
	_, otherEd, _ = ed25519.GenerateKey(rand.Reader)
)

type claims map[string]any

// with returns the claims of a good token, changed; nil removes one.
func with(change claims) claims {
	c := claims{"sub": "ann", "exp": now.Add(time.Minute).Unix()}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

// sign makes a token with golang-jwt; header entries are added.
func sign(t *testing.T, alg string, key any, c claims, header claims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(alg), jwt.MapClaims(c))
	for k, v := range header {
		token.Header[k] = v
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// forge makes a token from raw JSON with an HMAC of SHA-256.
func forge(header, payload string, key []byte) string {
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(header)) + "." + b64([]byte(payload))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + b64(mac.Sum(nil))
}

func public(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.(interface{ Public() crypto.PublicKey }).Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func verifier(t testing.TB, opts auth.Options) *auth.Verifier {
	t.Helper()
	if opts.Now == nil {
		opts.Now = func() time.Time { return now }
	}
	v, err := auth.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func bySecret(t testing.TB) *auth.Verifier {
	return verifier(t, auth.Options{Sources: []auth.Source{{Secret: secret}}, Leeway: 5 * time.Second})
}

func TestIdentity(t *testing.T) {
	text := sign(t, "HS256", secret, with(claims{
		"rooms": []string{"lobby", "user:*"},
		"allow": claims{"join": []string{"room/*"}, "subscribe": []string{"**"}, "publish": []string{"x/{sub}"}},
		"iss":   "anybody", "other": 1,
	}), nil)
	id, err := bySecret(t).Verify(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	if id.User != "ann" || !reflect.DeepEqual(id.Rooms, []string{"lobby", "user:*"}) || !id.Expires.Equal(now.Add(time.Minute)) {
		t.Errorf("%+v", id)
	}
	if !id.Allow.Join.Match("room/1", id.User) || id.Allow.Join.Match("hall/1", id.User) ||
		!id.Allow.Subscribe.Match("any/thing", id.User) || !id.Allow.Publish.Match("x/ann", id.User) {
		t.Errorf("%+v", id.Allow)
	}
}

func TestKeyKinds(t *testing.T) {
	for _, tt := range []struct {
		alg    string
		key    any
		source auth.Source
	}{
		{"HS256", secret, auth.Source{Secret: secret}},
		{"HS512", secret, auth.Source{Secret: secret}},
		{"RS256", rsaKey, auth.Source{PublicKey: public(t, rsaKey)}},
		{"PS384", rsaKey, auth.Source{PublicKey: public(t, rsaKey)}},
		{"ES256", p256, auth.Source{PublicKey: public(t, p256)}},
		{"ES384", p384, auth.Source{PublicKey: public(t, p384)}},
		{"EdDSA", edKey, auth.Source{PublicKey: public(t, edKey)}},
	} {
		v := verifier(t, auth.Options{Sources: []auth.Source{tt.source}})
		id, err := v.Verify(context.Background(), sign(t, tt.alg, tt.key, with(nil), nil))
		if err != nil || id.User != "ann" {
			t.Errorf("%s: %+v, %v", tt.alg, id, err)
		}
	}
}

func TestRefusedByClock(t *testing.T) {
	v := bySecret(t) // leeway 5 s
	for _, tt := range []struct {
		name   string
		change claims
		want   error
	}{
		{"no exp", claims{"exp": nil}, nil},
		{"just expired, within the leeway", claims{"exp": now.Unix() - 4}, nil},
		{"expired", claims{"exp": now.Unix() - 6}, auth.ErrExpired},
		{"expired at the epoch", claims{"exp": 0}, auth.ErrExpired},
		{"expires in a million years", claims{"exp": 3e13}, nil},
		{"not yet, within the leeway", claims{"nbf": now.Unix() + 4}, nil},
		{"not yet", claims{"nbf": now.Unix() + 6}, auth.ErrToken},
		{"expired and not yet", claims{"nbf": now.Unix() + 60, "exp": now.Unix() - 60}, auth.ErrExpired},
		{"exp is text", claims{"exp": "soon"}, auth.ErrToken},
	} {
		_, err := v.Verify(context.Background(), sign(t, "HS256", secret, with(tt.change), nil))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	strict := verifier(t, auth.Options{Sources: []auth.Source{{Secret: secret}}, RequireExpiry: true})
	if _, err := strict.Verify(context.Background(), sign(t, "HS256", secret, with(claims{"exp": nil}), nil)); !errors.Is(err, auth.ErrToken) {
		t.Errorf("RequireExpiry without exp: %v", err)
	}
	if _, err := strict.Verify(context.Background(), sign(t, "HS256", []byte("another secret"), with(claims{"exp": 1}), nil)); !errors.Is(err, auth.ErrToken) {
		t.Errorf("forged and expired must not say expired: %v", err)
	}
}

func TestRefusedSignatures(t *testing.T) {
	const payload = `{"sub":"ann"}`
	good := sign(t, "HS256", secret, with(nil), nil)
	rs := sign(t, "RS256", rsaKey, with(nil), nil)
	pub := public(t, rsaKey)
	b64 := base64.RawURLEncoding.EncodeToString
	none := b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(payload)) + "."
	hmacSource, rsaSource := auth.Source{Secret: secret}, auth.Source{PublicKey: pub}
	parts := strings.Split(good, ".")
	tests := []struct {
		name   string
		source auth.Source
		algs   []string
		text   string
	}{
		{"empty", hmacSource, nil, ""},
		{"no JWT", hmacSource, nil, "hello"},
		{"two parts", hmacSource, nil, parts[0] + "." + parts[1]},
		{"four parts", hmacSource, nil, good + ".x"},
		{"only dots", hmacSource, nil, strings.Repeat(".", 8000)},
		{"signature cut off", hmacSource, nil, parts[0] + "." + parts[1] + "."},
		{"other secret", hmacSource, nil, sign(t, "HS256", []byte("another secret"), with(nil), nil)},
		{"other payload", hmacSource, nil, parts[0] + "." + b64([]byte(`{"sub":"root"}`)) + "." + parts[2]},
		{"padding", hmacSource, nil, good + "="},
		{"space", hmacSource, nil, " " + good},
		{"too long", hmacSource, nil, sign(t, "HS256", secret, with(claims{"x": strings.Repeat("x", 8<<10)}), nil)},
		{"alg none", hmacSource, nil, none},
		{"alg none, RSA", rsaSource, nil, none},
		{"alg None", hmacSource, nil, strings.Replace(none, b64([]byte(`{"alg":"none"}`)), b64([]byte(`{"alg":"None"}`)), 1)},
		{"alg none, with a signature", hmacSource, nil, forge(`{"alg":"none"}`, payload, secret)},
		{"alg missing", hmacSource, nil, forge(`{"typ":"JWT"}`, payload, secret)},
		{"alg is a list", hmacSource, nil, forge(`{"alg":["HS256"]}`, payload, secret)},
		{"alg lower case", hmacSource, nil, forge(`{"alg":"hs256"}`, payload, secret)},
		{"public key as secret", rsaSource, nil, forge(`{"alg":"HS256"}`, payload, pub)},
		{"public key in DER as secret", rsaSource, nil, forge(`{"alg":"HS256"}`, payload, x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey))},
		{"RSA token, HMAC source", hmacSource, nil, rs},
		{"RSA token of another key", rsaSource, nil, sign(t, "RS256", otherRSA, with(nil), nil)},
		{"EdDSA token, RSA source", rsaSource, nil, sign(t, "EdDSA", edKey, with(nil), nil)},
		{"ES384 token, P-256 source", auth.Source{PublicKey: public(t, p256)}, nil, sign(t, "ES384", p384, with(nil), nil)},
		{"EdDSA token of another key", auth.Source{PublicKey: public(t, edKey)}, nil, sign(t, "EdDSA", otherEd, with(nil), nil)},
		{"algorithm not in the list", hmacSource, []string{"HS512"}, good},
		{"critical header", hmacSource, nil, sign(t, "HS256", secret, with(nil), claims{"crit": []string{"x"}, "x": 1})},
		{"kid is a number", hmacSource, nil, sign(t, "HS256", secret, with(nil), claims{"kid": 7})},
		{"key in the header", rsaSource, nil, sign(t, "RS256", otherRSA, with(nil), claims{"jwk": claims{"kty": "RSA", "n": b64(otherRSA.N.Bytes()), "e": "AQAB"}, "jku": "https://example.org/keys"})},
		{"payload is a list", hmacSource, nil, forge(`{"alg":"HS256"}`, `[]`, secret)},
		{"payload is cut", hmacSource, nil, forge(`{"alg":"HS256"}`, `{"sub":"ann"`, secret)},
		{"payload is deep", hmacSource, nil, forge(`{"alg":"HS256"}`, strings.Repeat("[", 4000), secret)},
		{"header is null", hmacSource, nil, forge(`null`, payload, secret)},
	}
	for _, tt := range tests {
		v := verifier(t, auth.Options{Sources: []auth.Source{tt.source}, Algorithms: tt.algs})
		id, err := v.Verify(context.Background(), tt.text)
		if id != nil || !errors.Is(err, auth.ErrToken) {
			t.Errorf("%s: %+v, %v", tt.name, id, err)
		}
		if err != nil && len(err.Error()) > 200 {
			t.Errorf("%s: a long reason: %.300s", tt.name, err)
		}
	}
}

func TestRefusedClaims(t *testing.T) {
	many := func(n int) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = "r"
		}
		return list
	}
	v := verifier(t, auth.Options{Sources: []auth.Source{{Secret: secret}}, MaxToken: 64 << 10})
	for _, tt := range []struct {
		name   string
		change claims
	}{
		{"no sub", claims{"sub": nil}},
		{"empty sub", claims{"sub": ""}},
		{"long sub", claims{"sub": strings.Repeat("x", auth.MaxUser+1)}},
		{"reserved sub", claims{"sub": "connections"}},
		{"sub with a line feed", claims{"sub": "a\nb"}},
		{"sub is a number", claims{"sub": 7}},
		{"rooms is text", claims{"rooms": "lobby"}},
		{"empty room", claims{"rooms": []string{""}}},
		{"long room", claims{"rooms": []string{strings.Repeat("x", auth.MaxRoom+1)}}},
		{"many rooms", claims{"rooms": many(auth.MaxRooms + 1)}},
		{"bad pattern", claims{"allow": claims{"join": []string{"{user}"}}}},
		{"bad pattern to publish", claims{"allow": claims{"publish": []string{""}}}},
		{"many patterns", claims{"allow": claims{"subscribe": many(auth.MaxAllow + 1)}}},
		{"allow is a list", claims{"allow": []string{"x"}}},
	} {
		if id, err := v.Verify(context.Background(), sign(t, "HS256", secret, with(tt.change), nil)); id != nil || !errors.Is(err, auth.ErrToken) {
			t.Errorf("%s: %+v, %v", tt.name, id, err)
		}
	}
	at := with(claims{"sub": strings.Repeat("x", auth.MaxUser), "rooms": many(auth.MaxRooms), "allow": claims{"join": many(auth.MaxAllow)}})
	if _, err := v.Verify(context.Background(), sign(t, "HS256", secret, at, nil)); err != nil {
		t.Errorf("at the limits: %v", err)
	}
}

func TestAudience(t *testing.T) {
	v := verifier(t, auth.Options{Sources: []auth.Source{{Secret: secret}}, Audience: "chat"})
	for _, tt := range []struct {
		aud  any
		want error
	}{{"chat", nil}, {[]string{"mail", "chat"}, nil}, {"mail", auth.ErrToken}, {nil, auth.ErrToken}} {
		if _, err := v.Verify(context.Background(), sign(t, "HS256", secret, with(claims{"aud": tt.aud}), nil)); !errors.Is(err, tt.want) {
			t.Errorf("aud %v: %v, want %v", tt.aud, err, tt.want)
		}
	}
}

func TestIssuersAreKeptApart(t *testing.T) {
	v := verifier(t, auth.Options{Sources: []auth.Source{
		{Issuer: "a", Secret: secret}, {Issuer: "b", PublicKey: public(t, rsaKey)},
	}})
	for _, tt := range []struct {
		name string
		text string
		want error
	}{
		{"a", sign(t, "HS256", secret, with(claims{"iss": "a"}), nil), nil},
		{"b", sign(t, "RS256", rsaKey, with(claims{"iss": "b"}), nil), nil},
		{"a's key, says b", sign(t, "HS256", secret, with(claims{"iss": "b"}), nil), auth.ErrToken},
		{"b's key, says a", sign(t, "RS256", rsaKey, with(claims{"iss": "a"}), nil), auth.ErrToken},
		{"no issuer", sign(t, "HS256", secret, with(nil), nil), auth.ErrToken},
		{"unknown issuer", sign(t, "HS256", secret, with(claims{"iss": "c"}), nil), auth.ErrToken},
	} {
		if _, err := v.Verify(context.Background(), tt.text); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestOptions(t *testing.T) {
	ok := auth.Source{Secret: secret}
	for name, opts := range map[string]auth.Options{
		"no source":          {},
		"empty source":       {Sources: []auth.Source{{}}},
		"two keys":           {Sources: []auth.Source{{Secret: secret, JWKS: "https://a.example/"}}},
		"unknown algorithm":  {Sources: []auth.Source{ok}, Algorithms: []string{"none"}},
		"no algorithm":       {Sources: []auth.Source{ok}, Algorithms: []string{}},
		"negative leeway":    {Sources: []auth.Source{ok}, Leeway: -1},
		"no PEM":             {Sources: []auth.Source{{PublicKey: []byte("x")}}},
		"private key":        {Sources: []auth.Source{{PublicKey: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)})}}},
		"broken PEM":         {Sources: []auth.Source{{PublicKey: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})}}},
		"RSA of 1,024 bits":  {Sources: []auth.Source{{PublicKey: public(t, weakRSA)}}},
		"P-224":              {Sources: []auth.Source{{PublicKey: public(t, p224)}}},
		"http elsewhere":     {Sources: []auth.Source{{JWKS: "http://a.example/keys"}}},
		"URL with a user":    {Sources: []auth.Source{{JWKS: "https://u:p@a.example/keys"}}},
		"no URL":             {Sources: []auth.Source{{JWKS: "keys"}}},
		"file URL":           {Sources: []auth.Source{{JWKS: "file:///keys"}}},
		"two for any issuer": {Sources: []auth.Source{ok, ok}},
		"two for one issuer": {Sources: []auth.Source{{Issuer: "a", Secret: secret}, {Issuer: "a", PublicKey: public(t, rsaKey)}}},
	} {
		if v, err := auth.New(opts); v != nil || !errors.Is(err, auth.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMint(t *testing.T) {
	g := auth.Grant{User: "ann", Rooms: []string{"lobby"}, Join: []string{"room/*"}, Issuer: "me", Audience: "chat", IssuedAt: now, Expires: now.Add(time.Hour)}
	text, err := auth.Mint(secret, g)
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, auth.Options{Sources: []auth.Source{{Issuer: "me", Secret: secret}}, Audience: "chat", RequireExpiry: true})
	id, err := v.Verify(context.Background(), text)
	if err != nil || id.User != "ann" || id.Rooms[0] != "lobby" || !id.Allow.Join.Match("room/1", "") || !id.Expires.Equal(now.Add(time.Hour)) {
		t.Errorf("%+v, %v", id, err)
	}
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil || len(c) != 7 {
		t.Errorf("%s: %v", payload, err)
	}
	for name, bad := range map[string]auth.Grant{"no user": {}, "bad pattern": {User: "a", Join: []string{"{"}}, "bad room": {User: "a", Rooms: []string{""}}} {
		if text, err := auth.Mint(secret, bad); err == nil {
			t.Errorf("%s: %s", name, text)
		}
	}
	if _, err := auth.Mint(nil, g); !errors.Is(err, auth.ErrOptions) {
		t.Errorf("no secret: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	v := bySecret(f)
	f.Add(forge(`{"alg":"HS256"}`, `{"sub":"ann"}`, secret))
	f.Add(forge(`{"alg":"none"}`, `{"sub":"ann"}`, secret))
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := v.Verify(context.Background(), text)
		if (id == nil) != (err != nil) {
			t.Fatalf("%+v, %v", id, err)
		}
		if err != nil && !errors.Is(err, auth.ErrToken) && !errors.Is(err, auth.ErrExpired) {
			t.Fatal(err)
		}
	})
}

// A payload signed well may still hold anything.
func FuzzClaims(f *testing.F) {
	v := bySecret(f)
	f.Add(`{"sub":"ann","rooms":["a"],"allow":{"join":["*"]},"exp":1e99}`)
	f.Fuzz(func(t *testing.T, payload string) {
		id, err := v.Verify(context.Background(), forge(`{"alg":"HS256"}`, payload, secret))
		if err == nil && auth.CheckUser(id.User) != nil {
			t.Fatalf("%+v", id)
		}
	})
}
