package auth

import (
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// claims is a token's payload.
type claims struct {
	jwt.RegisteredClaims
	Rooms []string    `json:"rooms,omitempty"`
	Allow allowClaims `json:"allow,omitzero"`
}

type allowClaims struct {
	Join      []string `json:"join,omitempty"`
	Subscribe []string `json:"subscribe,omitempty"`
	Publish   []string `json:"publish,omitempty"`
}

// identity is what the claims of a verified token say. A claim that can't be
// meant refuses the token: who issued it wants to know.
func (c *claims) identity() (*Identity, error) {
	if err := CheckUser(c.Subject); err != nil {
		return nil, fmt.Errorf("claim sub: %w", err)
	}
	id := &Identity{User: c.Subject, Rooms: c.Rooms}
	if len(c.Rooms) > MaxRooms {
		return nil, fmt.Errorf("claim rooms: %d of them, at most %d", len(c.Rooms), MaxRooms)
	}
	for _, room := range c.Rooms {
		if err := CheckRoom(room); err != nil {
			return nil, fmt.Errorf("claim rooms: %w", err)
		}
	}
	for _, list := range []struct {
		name  string
		texts []string
		into  *Patterns
	}{
		{"join", c.Allow.Join, &id.Allow.Join},
		{"subscribe", c.Allow.Subscribe, &id.Allow.Subscribe},
		{"publish", c.Allow.Publish, &id.Allow.Publish},
	} {
		if len(list.texts) > MaxAllow {
			return nil, fmt.Errorf("claim allow.%s: %d patterns, at most %d", list.name, len(list.texts), MaxAllow)
		}
		patterns, err := ParsePatterns(list.texts)
		if err != nil {
			return nil, fmt.Errorf("claim allow.%s: %w", list.name, err)
		}
		*list.into = patterns
	}
	if c.IssuedAt != nil {
		id.Issued = c.IssuedAt.Time
	}
	if c.ExpiresAt != nil {
		id.Expires = c.ExpiresAt.Time
	}
	return id, nil
}
