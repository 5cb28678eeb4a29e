// tether runs a program for exactly as long as somebody holds tether's standard input open.
//
//	tether [-remove DIR] PROGRAM [ARGUMENT…]
//
// The holder is a test process: however it ends, even by SIGKILL, the kernel closes the pipe, and tether kills the program
// and then removes DIR. Should tether itself be killed, the kernel kills the program (on Linux). When the program ends by
// itself, tether ends with the same code and removes nothing.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	remove := flag.String("remove", "", "directory to remove once standard input is closed and the program is dead")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: tether [-remove DIR] PROGRAM [ARGUMENT…]")
		os.Exit(2)
	}
	// Signals for the holder's process group (Ctrl-C) must not keep tether from cleaning up after the holder. They are caught
	// rather than ignored, because the program would inherit ignored ones.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)

	program := exec.Command(flag.Arg(0), flag.Args()[1:]...)
	program.Stdout, program.Stderr = os.Stdout, os.Stderr
	program.SysProcAttr = childAttributes()
	// The kernel's death signal follows the thread that started the child, so that thread must last as long as tether.
	runtime.LockOSThread()
	if err := program.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "tether:", err)
		os.Exit(127)
	}
	released := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(released)
		_ = program.Process.Kill()
	}()

	err := program.Wait()
	select {
	case <-released:
		if *remove != "" {
			err = errors.Join(err, os.RemoveAll(*remove))
		}
	default:
	}
	os.Exit(code(err))
}

func code(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	default:
		return 1
	}
}
