package sio

import "errors"

// TEMPORARY seam by the lead until H2's version replaces this file.

type MsgpackDecoder struct{}

func NewMsgpackDecoder(limits *Limits) MsgpackDecoder { return MsgpackDecoder{} }

func (d *MsgpackDecoder) Text(b []byte) (p Packet, ok bool, err error)   { return p, false, ErrPayload }
func (d *MsgpackDecoder) Binary(b []byte) (p Packet, ok bool, err error) { return p, false, ErrPayload }

var errLater = errors.New("sio: later")

func AppendMsgpackPacket(dst []byte, h Header, args []any) ([]byte, error)      { return nil, errLater }
func AppendMsgpackObject(dst []byte, h Header, object any) ([]byte, error)      { return nil, errLater }
func AppendMsgpackPayload(dst []byte, h Header, p Payload) ([]byte, error)      { return nil, errLater }
