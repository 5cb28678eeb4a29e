/** What the builders must know of the installation. */
export interface Settings {
  /** The image of the generic agent-runtime. */
  runtimeImage: string;
  /** The image in which code runs. Absent: only Tools and steps that name an image of their own can run it. */
  sandboxImage?: string;
  /** Base URL of the gateway, such as http://kadre-gateway.kadre-system.svc */
  gatewayUrl: string;
  /** Base URL under which programs in the cluster reach the server. Absent: webhooks have no address in their status. */
  serverUrl?: string;
  /** The namespace of the control plane; agents may talk to its gateway and to nothing else. */
  systemNamespace: string;
  imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  /** Such as cluster.local. Absent: names end in .svc and the pod's search path completes them. */
  clusterDomain?: string;
}
