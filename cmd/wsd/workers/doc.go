// Package workers runs a server as several processes behind one port: a parent that
// holds the listening sockets and the admin listener, and workers that serve.
//
// Each worker has a socket pair to its parent (a link), through which it gets what it
// is and its listening sockets, and through which both tell each other how they are.
// A worker ends when its link does: nobody is left behind by a parent that is killed.
//
// Connections go from one process to another as descriptors (SCM_RIGHTS), with what
// was read of them: those of clients whose session lives in another worker, and those
// that wait at a socket whose worker has died.
//
// It works on Linux. On other systems [Supported] is false.
package workers
