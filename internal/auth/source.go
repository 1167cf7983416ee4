package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// Source is where keys come from. Exactly one of Secret, PublicKey and JWKS is
// set.
type Source struct {
	// Issuer is the claim iss of this source's tokens, exactly. It may be empty,
	// for any, when there is one source only.
	Issuer string
	// Secret verifies HS256, HS384 and HS512.
	Secret []byte
	// PublicKey is PEM, PKIX or PKCS #1, or a certificate: RSA of 2,048 bits or
	// more (RS256 to RS512, PS256 to PS512), P-256, P-384 or P-521 (ES256,
	// ES384, ES512), or Ed25519 (EdDSA).
	PublicKey []byte
	// JWKS is the URL of a key set (RFC 7517), https unless it is on a loopback
	// address. It is fetched when it is needed, and kept.
	JWKS string
}

// source is a Source at work.
type source struct {
	issuer string
	key    func(ctx context.Context, alg, kid string) (any, error)
	fetch  func(ctx context.Context) error // nil: nothing to fetch
	close  func()
}

// newSource checks s and reads its keys.
func newSource(s Source, opts *Options) (*source, error) {
	set := 0
	for _, given := range []bool{len(s.Secret) > 0, len(s.PublicKey) > 0, s.JWKS != ""} {
		if given {
			set++
		}
	}
	if set != 1 {
		return nil, fmt.Errorf("%w: a source has %d of a secret, a public key and a key set's URL: want one", ErrOptions, set)
	}
	out := &source{issuer: s.Issuer, close: func() {}}
	switch {
	case len(s.Secret) > 0:
		out.key = fixedKey(s.Secret)
	case len(s.PublicKey) > 0:
		key, err := parsePublicKey(s.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("%w: public key: %w", ErrOptions, err)
		}
		out.key = fixedKey(key)
	default:
		keys, err := newKeySet(s.JWKS, opts)
		if err != nil {
			return nil, err
		}
		out.key, out.fetch, out.close = keys.key, keys.prefetch, keys.close
	}
	return out, nil
}

// fixedKey is a source of one key. It has no id: a token may name any.
func fixedKey(key any) func(context.Context, string, string) (any, error) {
	return func(_ context.Context, alg, _ string) (any, error) {
		if !suits(key, alg) {
			return nil, fmt.Errorf("%w: algorithm %q is not that of the key", ErrToken, alg)
		}
		return key, nil
	}
}

func parsePublicKey(text []byte) (any, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("not PEM")
	}
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = cert.PublicKey
		}
	default:
		return nil, fmt.Errorf("a PEM block %q: want PUBLIC KEY or CERTIFICATE", block.Type)
	}
	if err != nil {
		return nil, err
	}
	if len(algorithms(key)) == 0 {
		return nil, fmt.Errorf("a key of a kind or size that is not supported: want RSA of %d bits or more, P-256, P-384, P-521 or Ed25519", minRSA)
	}
	return key, nil
}

// minRSA is the smallest modulus, in bits (RFC 7518 3.3).
const minRSA = 2048

var (
	hmacAlgorithms = []string{"HS256", "HS384", "HS512"}
	rsaAlgorithms  = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	ecAlgorithms   = map[int][]string{256: {"ES256"}, 384: {"ES384"}, 521: {"ES512"}} // by the curve's bits
	edAlgorithms   = []string{"EdDSA"}
)

// algorithms are those that a key can verify, none for a key that this package
// does not take. That the key decides is what keeps a public key from being
// used as a shared secret.
func algorithms(key any) []string {
	switch k := key.(type) {
	case []byte:
		return hmacAlgorithms
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSA {
			return rsaAlgorithms
		}
	case *ecdsa.PublicKey:
		return ecAlgorithms[k.Curve.Params().BitSize]
	case ed25519.PublicKey:
		return edAlgorithms
	}
	return nil
}

// suits reports whether key can verify tokens of alg.
func suits(key any, alg string) bool {
	for _, a := range algorithms(key) {
		if a == alg {
			return true
		}
	}
	return false
}

// Algorithms are all that can be verified.
func Algorithms() []string {
	all := append([]string(nil), hmacAlgorithms...)
	all = append(all, rsaAlgorithms...)
	for _, bits := range []int{256, 384, 521} {
		all = append(all, ecAlgorithms[bits]...)
	}
	return append(all, edAlgorithms...)
}
