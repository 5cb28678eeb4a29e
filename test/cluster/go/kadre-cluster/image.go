package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// writeImage writes a container image of one layer that holds one static binary, as a docker-archive. It spares the pause
// image any image tool.
func writeImage() {
	flags := flag.NewFlagSet("image", flag.ExitOnError)
	name := flags.String("name", "", "full name with tag")
	binary := flags.String("binary", "", "static binary, which becomes the entrypoint")
	output := flags.String("output", "", "archive to write")
	_ = flags.Parse(os.Args[1:])
	archive, err := imageOf(*name, *binary)
	if err == nil {
		err = os.WriteFile(*output, archive, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func imageOf(name, binary string) ([]byte, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	entrypoint := filepath.Base(binary)
	layer, err := tarball(0o755, file{entrypoint, content})
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(layer)
	config, configErr := json.Marshal(map[string]any{
		"os":           "linux",
		"architecture": runtime.GOARCH,
		"config":       map[string]any{"Entrypoint": []string{"/" + entrypoint}, "User": "65535:65535"},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(digest[:])}},
	})
	manifest, manifestErr := json.Marshal([]any{map[string]any{
		"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"},
	}})
	if err := errors.Join(configErr, manifestErr); err != nil {
		return nil, err
	}
	return tarball(0o644, file{"layer.tar", layer}, file{"config.json", config}, file{"manifest.json", manifest})
}

type file struct {
	name    string
	content []byte
}

func tarball(mode int64, files ...file) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	var err error
	for _, file := range files {
		err = errors.Join(err, writer.WriteHeader(&tar.Header{Name: file.name, Mode: mode, Size: int64(len(file.content))}))
		_, writeErr := writer.Write(file.content)
		err = errors.Join(err, writeErr)
	}
	return buffer.Bytes(), errors.Join(err, writer.Close())
}
