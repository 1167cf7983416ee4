package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/fe4bcecb/wsd/internal/auth"
)

// tokenCmd is `wsd token`.
type tokenCmd struct {
	User           string        `arg:"" help:"User id: the claim sub."`
	JWTSecret      string        `name:"jwt-secret" placeholder:"TEXT" help:"Secret to sign with; the same as that of wsd serve."`
	JWTSecretFile  string        `name:"jwt-secret-file" placeholder:"FILE" help:"File with that secret."`
	Room           []string      `placeholder:"ROOM" help:"A room that the user is put into. Repeatable."`
	AllowJoin      []string      `placeholder:"PATTERN" help:"Rooms that the user may join. Repeatable."`
	AllowSubscribe []string      `placeholder:"PATTERN" help:"Topics that the user may subscribe to. Repeatable."`
	AllowPublish   []string      `placeholder:"PATTERN" help:"Rooms and topics that the user may send to. Repeatable."`
	Expires        time.Duration `default:"1h" help:"How long the token is good for; 0: for ever. Default ${default}."`
	Issuer         string        `name:"jwt-issuer" placeholder:"TEXT" help:"Claim iss."`
	Audience       string        `name:"jwt-audience" placeholder:"TEXT" help:"Claim aud."`
}

// Run prints a token signed with HS256.
func (c *tokenCmd) Run(p *process) error {
	keys := authFlags{JWTSecret: c.JWTSecret, JWTSecretFile: c.JWTSecretFile}
	if err := keys.check(); err != nil {
		return err
	}
	secret, err := keys.secret()
	switch {
	case err != nil:
		return usageError(err)
	case len(secret) == 0:
		return usageError(errors.New("want --jwt-secret-file, --jwt-secret or WSD_JWT_SECRET"))
	case c.Expires < 0:
		return usageError(fmt.Errorf("--expires %v: want 0 or more", c.Expires))
	}
	now := time.Now()
	grant := auth.Grant{
		User: c.User, Rooms: c.Room,
		Join: c.AllowJoin, Subscribe: c.AllowSubscribe, Publish: c.AllowPublish,
		Issuer: c.Issuer, Audience: c.Audience, IssuedAt: now,
	}
	if c.Expires > 0 {
		grant.Expires = now.Add(c.Expires)
	}
	token, err := auth.Mint(secret, grant)
	if err != nil {
		return usageError(err)
	}
	_, err = fmt.Fprintln(p.stdout, token)
	return err
}
