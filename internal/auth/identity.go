package auth

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits on names and claims.
const (
	MaxUser  = 256 // bytes of a user id
	MaxRoom  = 256 // bytes of a room's name
	MaxRooms = 100 // rooms in a token
	MaxAllow = 100 // patterns in each list of a token
)

// reservedUser is the id whose key "user:connections" would be the index of
// all users.
const reservedUser = "connections"

// Identity is what a verified token says.
type Identity struct {
	User    string    // claim sub
	Rooms   []string  // claim rooms: joined at connect
	Allow   Allow     // claim allow
	Issued  time.Time // claim iat; zero: not told
	Expires time.Time // claim exp; zero: never
}

// Allow are the names that a user may use beyond what everybody may.
type Allow struct {
	Join      Patterns // rooms
	Subscribe Patterns // topics
	Publish   Patterns // rooms and topics
}

// CheckUser refuses a user id that is empty, longer than MaxUser, not UTF-8,
// has control characters, or is "connections". Errors wrap ErrUser.
func CheckUser(id string) error {
	if err := checkName(id, MaxUser, ErrUser); err != nil {
		return err
	}
	if id == reservedUser {
		return fmt.Errorf("%w: %q is reserved", ErrUser, id)
	}
	return nil
}

// CheckRoom refuses a room's name that is empty, longer than MaxRoom, or not
// UTF-8 without control characters. Errors wrap ErrRoom.
func CheckRoom(name string) error { return checkName(name, MaxRoom, ErrRoom) }

func checkName(name string, longest int, kind error) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", kind)
	case len(name) > longest:
		return fmt.Errorf("%w: %d bytes, at most %d", kind, len(name), longest)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: not UTF-8", kind)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%w: a control character in it", kind)
	}
	return nil
}
