// The options of the commands, as commander hands them over.

export interface HistoryOptions {
  store?: string;
}

export interface RunOptions extends HistoryOptions {
  file: string[];
  namespace: string;
  prompt?: string;
  input: string[];
  inputFile?: string;
  limits: string[];
  event: string[];
  yes?: boolean;
  answer: string[];
  stub: string[];
  agent: string[];
  tool: string[];
  output: Output;
  quiet?: boolean;
  logLevel: string;
  name?: string;
  keep: number;
  resume?: string;
  fork?: string;
  from?: string;
  replay?: string;
}

export interface McpOptions extends HistoryOptions {
  file: string[];
  namespace: string;
}

export type Output = 'text' | 'json' | 'yaml';
