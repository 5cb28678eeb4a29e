// The roles of the control plane; each is a thread, or a process of its own.
export type RoleName = 'gateway' | 'server' | 'engine' | 'operator' | 'janitor';
