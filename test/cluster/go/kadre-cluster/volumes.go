package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// recycleVolumes empties local volumes whose claim is gone and offers them again, so that a long test session does not run
// out of the fixed number of volumes.
func recycleVolumes() {
	flags := flag.NewFlagSet("recycle-volumes", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig of an administrator")
	directory := flags.String("dir", "", "only volumes below this directory are touched")
	_ = flags.Parse(os.Args[1:])

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		fmt.Fprintln(os.Stderr, "recycle-volumes:", err)
		os.Exit(1)
	}
	client := kubernetes.NewForConfigOrDie(config)
	for {
		if err := recycleOnce(client, *directory); err != nil {
			fmt.Fprintln(os.Stderr, time.Now().UTC().Format(time.RFC3339), "recycle-volumes:", err)
		}
		time.Sleep(time.Second)
	}
}

func recycleOnce(client kubernetes.Interface, directory string) error {
	volumes, err := client.CoreV1().PersistentVolumes().List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, volume := range volumes.Items {
		if volume.Status.Phase == corev1.VolumeReleased && volume.Spec.Local != nil &&
			filepath.Dir(volume.Spec.Local.Path) == filepath.Clean(directory) {
			err = errors.Join(err, recycle(client, volume))
		}
	}
	return err
}

// A released volume belongs to nobody until its claimRef is gone, so it is emptied first.
func recycle(client kubernetes.Interface, volume corev1.PersistentVolume) error {
	if err := empty(volume.Spec.Local.Path); err != nil {
		return err
	}
	patch := fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"spec":{"claimRef":null}}`, volume.ResourceVersion)
	_, err := client.CoreV1().PersistentVolumes().Patch(
		context.Background(), volume.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

func empty(directory string) error {
	entries, err := os.ReadDir(directory)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(directory, entry.Name())))
	}
	return err
}
