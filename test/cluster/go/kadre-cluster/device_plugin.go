package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pluginapi "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// serveDevicePlugin advertises pretend GPUs the way a vendor's device plugin does, so that the kubelet itself counts and
// assigns them and the node keeps them through restarts. Containers get the assigned devices in NVIDIA_VISIBLE_DEVICES.
func serveDevicePlugin() {
	flags := flag.NewFlagSet("device-plugin", flag.ExitOnError)
	resource := flags.String("resource", "nvidia.com/gpu", "extended resource to advertise")
	count := flags.Int("count", 2, "number of devices")
	_ = flags.Parse(os.Args[1:])

	plugin := &devicePlugin{socket: "kadre-pretend-gpu.sock"}
	for number := range *count {
		plugin.devices = append(plugin.devices, &pluginapi.Device{ID: fmt.Sprintf("pretend-%d", number), Health: pluginapi.Healthy})
	}
	for {
		if err := plugin.serveOnce(*resource); err != nil {
			fmt.Fprintln(os.Stderr, time.Now().UTC().Format(time.RFC3339), "device-plugin:", err)
		}
		time.Sleep(time.Second)
	}
}

type devicePlugin struct {
	pluginapi.UnimplementedDevicePluginServer
	devices []*pluginapi.Device
	socket  string
}

// serveOnce registers with the kubelet and serves until the kubelet forgets about the plugin. A starting kubelet removes
// every socket in its plugin directory; that is the signal to register again.
func (p *devicePlugin) serveOnce(resource string) error {
	path := filepath.Join(pluginapi.DevicePluginPath, p.socket)
	_ = os.Remove(path)
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	defer server.Stop()
	pluginapi.RegisterDevicePluginServer(server, p)
	go func() { _ = server.Serve(listener) }()

	if err := p.register(resource); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("the kubelet has restarted: %w", err)
		}
		time.Sleep(time.Second)
	}
}

func (p *devicePlugin) register(resource string) error {
	connection, err := grpc.NewClient("unix://"+pluginapi.KubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = pluginapi.NewRegistrationClient(connection).Register(ctx, &pluginapi.RegisterRequest{
		Version:      pluginapi.Version,
		Endpoint:     p.socket,
		ResourceName: resource,
	})
	return err
}

func (p *devicePlugin) GetDevicePluginOptions(context.Context, *pluginapi.Empty) (*pluginapi.DevicePluginOptions, error) {
	return &pluginapi.DevicePluginOptions{}, nil
}

// ListAndWatch reports the devices once and then holds the stream open: pretend devices never fail.
func (p *devicePlugin) ListAndWatch(_ *pluginapi.Empty, stream pluginapi.DevicePlugin_ListAndWatchServer) error {
	if err := stream.Send(&pluginapi.ListAndWatchResponse{Devices: p.devices}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func (p *devicePlugin) Allocate(_ context.Context, request *pluginapi.AllocateRequest) (*pluginapi.AllocateResponse, error) {
	response := &pluginapi.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		response.ContainerResponses = append(response.ContainerResponses, &pluginapi.ContainerAllocateResponse{
			Envs: map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")},
		})
	}
	return response, nil
}
