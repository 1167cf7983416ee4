package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/internal/auth"
)

// weakSecret is the length in bytes under which a shared secret is warned of:
// that of HS256's hash (RFC 7518 3.2).
const weakSecret = 32

// authFlags say how clients show who they are.
type authFlags struct {
	JWTSecret        string        `name:"jwt-secret" placeholder:"TEXT" help:"Shared secret of tokens (HS256, HS384, HS512). Better: --jwt-secret-file."`
	JWTSecretFile    string        `name:"jwt-secret-file" placeholder:"FILE" help:"File with that secret; line ends at its end don't count."`
	JWTPublicKey     string        `name:"jwt-public-key" placeholder:"FILE" help:"PEM file with the public key of tokens (RS*, PS*, ES*, EdDSA)."`
	JWKSURL          []string      `name:"jwks-url" placeholder:"[ISSUER=]URL" help:"Key set of an issuer. Repeatable; several need their ISSUER."`
	JWTIssuer        string        `name:"jwt-issuer" placeholder:"TEXT" help:"What the claim iss of tokens by --jwt-secret or --jwt-public-key must be."`
	JWTAudience      string        `name:"jwt-audience" placeholder:"TEXT" help:"What must be in the claim aud."`
	JWTAlgorithms    []string      `name:"jwt-algorithms" placeholder:"ALG" help:"The only algorithms to accept. Default: those of the kind of key."`
	JWTRequireExp    bool          `name:"jwt-require-exp" help:"Refuse tokens without exp."`
	JWTLeeway        time.Duration `name:"jwt-leeway" default:"5s" help:"By how much clocks may differ. Default ${default}."`
	RevocationTTL    time.Duration `name:"revocation-ttl" default:"24h" help:"How long a revocation is remembered: as long as tokens live, or longer. Default ${default}."`
	TokenCookie      string        `name:"token-cookie" placeholder:"NAME" help:"Also take tokens from this cookie."`
	TokenQuery       string        `name:"token-query" placeholder:"NAME" help:"Also take tokens from this query parameter, where proxies may log them."`
	InsecureUserFrom string        `name:"insecure-user-from" placeholder:"auth.NAME" help:"Believe what clients say: take the user id from auth.NAME, query.NAME or header.NAME."`
}

// configured reports whether tokens can be verified.
func (f *authFlags) configured() bool {
	return f.JWTSecret != "" || f.JWTSecretFile != "" || f.JWTPublicKey != "" || len(f.JWKSURL) > 0
}

// check refuses what can't be meant.
func (f *authFlags) check() error {
	switch {
	case f.JWTSecret != "" && f.JWTSecretFile != "":
		return usageError(fmt.Errorf("--jwt-secret and --jwt-secret-file: want one"))
	case f.InsecureUserFrom != "" && f.configured():
		return usageError(fmt.Errorf("--insecure-user-from beside tokens: want one"))
	case f.RevocationTTL < 0:
		return usageError(fmt.Errorf("--revocation-ttl %v: want 0 or more", f.RevocationTTL))
	case f.JWTLeeway < 0:
		return usageError(fmt.Errorf("--jwt-leeway %v: want 0 or more", f.JWTLeeway))
	}
	if f.InsecureUserFrom != "" {
		if _, err := parseUserSource(f.InsecureUserFrom); err != nil {
			return usageError(err)
		}
	}
	return nil
}

// verifier is nil when no tokens are configured.
func (f *authFlags) verifier(log *slog.Logger) (*auth.Verifier, error) {
	if !f.configured() {
		return nil, nil
	}
	sources, err := f.sources(log)
	if err != nil {
		return nil, usageError(err)
	}
	v, err := auth.New(auth.Options{
		Sources:       sources,
		Algorithms:    f.JWTAlgorithms,
		Audience:      f.JWTAudience,
		RequireExpiry: f.JWTRequireExp,
		Leeway:        f.JWTLeeway,
	})
	if err != nil {
		return nil, usageError(err)
	}
	return v, nil
}

func (f *authFlags) sources(log *slog.Logger) ([]auth.Source, error) {
	var sources []auth.Source
	secret, err := f.secret()
	if err != nil {
		return nil, err
	}
	if len(secret) > 0 {
		if len(secret) < weakSecret {
			log.Warn("the secret of tokens is short: whoever has a token may find it by trying", "bytes", len(secret), "want", weakSecret)
		}
		sources = append(sources, auth.Source{Issuer: f.JWTIssuer, Secret: secret})
	}
	if f.JWTPublicKey != "" {
		key, err := os.ReadFile(f.JWTPublicKey)
		if err != nil {
			return nil, fmt.Errorf("--jwt-public-key: %w", err)
		}
		sources = append(sources, auth.Source{Issuer: f.JWTIssuer, PublicKey: key})
	}
	for _, given := range f.JWKSURL {
		sources = append(sources, jwksSource(given))
	}
	return sources, nil
}

// secret is that of --jwt-secret or --jwt-secret-file, empty when neither is
// given.
func (f *authFlags) secret() ([]byte, error) {
	if f.JWTSecretFile == "" {
		return []byte(f.JWTSecret), nil
	}
	text, err := os.ReadFile(f.JWTSecretFile)
	if err != nil {
		return nil, fmt.Errorf("--jwt-secret-file: %w", err)
	}
	if text = bytes.TrimRight(text, "\r\n"); len(text) == 0 {
		return nil, fmt.Errorf("--jwt-secret-file %s: it is empty", f.JWTSecretFile)
	}
	return text, nil
}

// jwksSource reads [ISSUER=]URL. An issuer is often a URL itself.
func jwksSource(given string) auth.Source {
	for _, scheme := range []string{"=https://", "=http://"} {
		if at := strings.LastIndex(given, scheme); at >= 0 {
			return auth.Source{Issuer: given[:at], JWKS: given[at+1:]}
		}
	}
	return auth.Source{JWKS: given}
}
