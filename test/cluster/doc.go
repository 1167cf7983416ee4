// Package cluster holds the tests of wsd as a node among Node's: socket.io
// servers with npm's adapters and test/sioserver share a Redis, and every call of
// the adapters' API is made at one and observed at another, in all directions.
// What does not hold among Node's servers is not demanded of wsd.
//
// Beside that, wsd is to do no harm and to take none: random operations of a wsd
// node leave Node's servers alive and hearing, and ill messages leave wsd so. And
// the configurations of deploy serve one room.
//
// The checks are JavaScript, in js/checks, by real clients; js/run.mjs reports
// each to Go. js/node.mjs is the Node server. Packages that are not installed
// fail the tests; make test installs them.
package cluster
