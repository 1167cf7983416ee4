package redis

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"strconv"
	"sync/atomic"

	"github.com/redis/rueidis"
)

// script is a Lua script that touches one key. It is sent by its digest where the
// servers are known to have it, and as a whole otherwise, which makes them keep it.
type script struct {
	text   string
	sha1   string
	loaded atomic.Bool // servers have it, as far as is known
}

// build makes the command. Arguments are data: nothing in them is ever read as
// Lua, or as a pattern.
func (s *script) build(b rueidis.Builder, key string, args ...string) rueidis.Completed {
	if s.loaded.Load() {
		return b.Evalsha().Sha1(s.sha1).Numkeys(1).Key(key).Arg(args...).Build()
	}
	return b.Eval().Script(s.text).Numkeys(1).Key(key).Arg(args...).Build()
}

// check notes what a result tells of the script, and returns its error.
func (s *script) check(r rueidis.RedisResult) error {
	err := r.Error()
	var refused *rueidis.RedisError
	if errors.As(err, &refused) && refused.IsNoScript() {
		s.loaded.Store(false)
	}
	return err
}

// scripts are those of a Broker's presence.
type scripts struct {
	hold, drop, tell, entry, owner *script
}

func newScripts() scripts {
	all := scripts{&script{text: holdScript}, &script{text: dropScript}, &script{text: tellScript}, &script{text: entryScript}, &script{text: ownerScript}}
	for _, s := range all.list() {
		s.sha1 = digest(s.text)
	}
	return all
}

func (s *scripts) list() []*script { return []*script{s.hold, s.drop, s.tell, s.entry, s.owner} }

// load gives the scripts to all servers. Where that fails they are sent as a
// whole.
func (s *scripts) load(ctx context.Context, b *Broker) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.CommandTimeout)
	defer cancel()
	for _, x := range s.list() {
		x.loaded.Store(false)
	}
	for _, node := range b.client.Nodes() {
		for _, x := range s.list() {
			err := node.Do(ctx, node.B().ScriptLoad().Script(x.text).Build()).Error()
			// A replica of a Cluster takes it too, or needs none.
			if err != nil {
				return err
			}
		}
	}
	for _, x := range s.list() {
		x.loaded.Store(true)
	}
	return nil
}

// run runs a script whose order does not matter.
func (b *Broker) run(ctx context.Context, s *script, key string, args ...string) rueidis.RedisResult {
	r := b.do(ctx, s.build(b.client.B(), key, args...))
	loaded := s.loaded.Load()
	if s.check(r) != nil && loaded && !s.loaded.Load() {
		r = b.do(ctx, s.build(b.client.B(), key, args...))
	}
	return r
}

// holdScript takes or keeps a lease. KEYS[1] is the lease; ARGV: how the values of
// whoever calls begin, the value, milliseconds. It answers "new", "kept", or the
// value of another holder.
const holdScript = `
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then return held end
if held == ARGV[2] then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
if held then return 'kept' end
return 'new'`

// dropScript gives a lease back. KEYS[1] is the lease; ARGV: how the values of
// whoever calls begin.
const dropScript = `
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, #ARGV[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

// newestSample is how many of a user's connections are looked at for the newest
// one, about.
const newestSample = 1000

// tellScript changes what one server told of a user, and nothing that another
// one told. KEYS[1] is the hash of the user's connections; ARGV: the server, what
// to do, and connections with the times that they began:
//
//	enter  sets them, and answers with nothing
//	exit   removes them
//	whole  sets them, and removes all others of the server
//	look   changes nothing
//
// The answer is the newest connection that is left: id, server, time.
var tellScript = `
local function read(value)
  local server, at = string.match(value, '^(.*)|(%d+)$')
  return server, at
end
local server, how = ARGV[1], ARGV[2]
if how == 'exit' then
  for i = 3, #ARGV do
    local value = redis.call('HGET', KEYS[1], ARGV[i])
    if value and read(value) == server then redis.call('HDEL', KEYS[1], ARGV[i]) end
  end
elseif how == 'enter' or how == 'whole' then
  local wanted = {}
  for i = 3, #ARGV, 2 do
    local value = server .. '|' .. ARGV[i + 1]
    wanted[ARGV[i]] = true
    if redis.call('HGET', KEYS[1], ARGV[i]) ~= value then redis.call('HSET', KEYS[1], ARGV[i], value) end
  end
  if how == 'enter' then return {} end
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if not wanted[all[i]] and read(all[i + 1]) == server then redis.call('HDEL', KEYS[1], all[i]) end
  end
end
local all
if redis.call('HLEN', KEYS[1]) <= ` + strconv.Itoa(newestSample) + ` then
  all = redis.call('HGETALL', KEYS[1])
else
  all = redis.call('HSCAN', KEYS[1], '0', 'COUNT', '` + strconv.Itoa(newestSample) + `')[2]
end
local newest, best, id = {}, -1, ''
for i = 1, #all, 2 do
  local owner, at = read(all[i + 1])
  local n = tonumber(at)
  if n and (n > best or n == best and all[i] > id) then
    newest, best, id = {all[i], owner, at}, n, all[i]
  end
end
return newest`

// entryScript rewrites the entry that Node servers read of a user, if it is the
// caller's to rewrite. KEYS[1] is user:<id>; ARGV: how, a connection, its server
// and time, and the same of the newest one, three times nothing for none.
//
//	after   the entry names that connection and time; without: any connection of
//	        the server
//	ensure  there is none, or it names the server, or an older connection
//
// Fields that other programs keep there stay. The answer is 1 if it was changed.
const entryScript = `
local now = redis.call('HMGET', KEYS[1], 'socketId', 'serverId', 'connectedAt')
local id, server, at = ARGV[5], ARGV[6], ARGV[7]
local mine
if ARGV[1] == 'after' then
  mine = now[2] == ARGV[3] and (ARGV[2] == '' or now[1] == ARGV[2] and now[3] == ARGV[4])
else
  mine = not now[2] or now[2] == ARGV[3] or (tonumber(now[3]) or 0) < (tonumber(at) or 0)
end
if not mine or (now[1] == id and now[2] == server and now[3] == at) then return 0 end
if id == '' then
  redis.call('HDEL', KEYS[1], 'socketId', 'serverId', 'connectedAt', 'status')
else
  redis.call('HSET', KEYS[1], 'socketId', id, 'serverId', server, 'connectedAt', at, 'status', 'online')
end
return 1`

// ownerScript does the same with the hash user:connections, KEYS[1]; ARGV: how,
// the server, the user, and the server of the newest connection. It has one more
// way: "set", whatever there is.
const ownerScript = `
local now = redis.call('HGET', KEYS[1], ARGV[3])
if ARGV[1] == 'after' and now ~= ARGV[2] then return 0 end
if ARGV[1] == 'ensure' and now and now ~= ARGV[2] then return 0 end
if now == ARGV[4] then return 0 end
if ARGV[4] == '' then return redis.call('HDEL', KEYS[1], ARGV[3]) end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
return 1`

// digest is the name by which a server knows a script.
func digest(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
