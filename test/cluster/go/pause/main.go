// pause holds a pod's namespaces open: it waits to be told to stop and reaps whatever the pod leaves behind.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// As PID 1 of a shared PID namespace it inherits orphans; ignoring SIGCHLD has the kernel reap them.
	signal.Ignore(syscall.SIGCHLD)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}
