package cluster

import "errors"

// ErrMessage is a message that lacks what its kind needs; see [Message.Check].
var ErrMessage = errors.New("cluster: incomplete message")
