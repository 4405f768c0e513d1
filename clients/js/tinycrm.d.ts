export type Status = "free" | "trial" | "paid" | "churned";
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Fields {
  name?: string;
  status?: Status | "trialing";
  params?: { [key: string]: Json };
  /** Written only where the key is absent. */
  set_once?: { [key: string]: Json };
  unset?: string[];
  /** When it happened; now if left out. */
  at?: Date | string;
  /** False for webhooks and imports, which are nobody's activity. */
  active?: boolean;
}

export interface Failure {
  /** `network` when no answer came, `invalid` when nothing could be sent, else the server's. */
  code: string;
  message: string;
  field?: string | null;
  status?: number;
}

export interface Options {
  /** Milliseconds that one try may take; 10000. */
  timeout?: number;
  /** Further tries after no answer, 408, 429 and 5xx; 3. */
  retries?: number;
  onError?: (error: Failure) => void;
}

export interface Identified {
  type: "identify";
  action: "created" | "updated" | "unchanged";
  customer_id: string;
  joined: boolean;
  changed: string[];
  error?: undefined;
}

export interface Pinged {
  type: "ping";
  known: boolean;
  error?: undefined;
}

export interface Changed {
  type: "change_email";
  /** False where there is nobody to rename, or the new address is somebody else's. */
  known: boolean;
  error?: undefined;
}

/** The promises never reject: what went wrong is in `error`. */
export class TinyCRM {
  constructor(where: string, options?: Options);
  constructor(options: Options & { apiKey: string; url: string });
  identify(email: string, fields?: Fields): Promise<Identified | { error: Failure }>;
  ping(email: string, at?: Date | string): Promise<Pinged | { error: Failure }>;
  changeEmail(email: string, next: string, at?: Date | string): Promise<Changed | { error: Failure }>;
}
