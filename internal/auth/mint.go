package auth

import (
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Grant is what Mint puts into a token. Empty fields are left out.
type Grant struct {
	User                     string
	Rooms                    []string
	Join, Subscribe, Publish []string // patterns
	Issuer, Audience         string
	IssuedAt                 time.Time
	Expires                  time.Time
}

// Mint signs a token with HS256, for tests and for services that have no
// library at hand. It refuses what Verify would refuse.
func Mint(secret []byte, g Grant) (string, error) {
	if len(secret) == 0 {
		return "", fmt.Errorf("%w: no secret", ErrOptions)
	}
	c := &claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: g.User, Issuer: g.Issuer, IssuedAt: numericDate(g.IssuedAt), ExpiresAt: numericDate(g.Expires),
		},
		Rooms: g.Rooms,
		Allow: allowClaims{Join: g.Join, Subscribe: g.Subscribe, Publish: g.Publish},
	}
	if g.Audience != "" {
		c.Audience = jwt.ClaimStrings{g.Audience}
	}
	if _, err := c.identity(); err != nil {
		return "", err
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(secret)
	if err == nil && len(text) > maxToken {
		err = fmt.Errorf("%w: %d bytes, at most %d", ErrToken, len(text), maxToken)
	}
	return text, err
}

func numericDate(t time.Time) *jwt.NumericDate {
	if t.IsZero() {
		return nil
	}
	return jwt.NewNumericDate(t)
}
