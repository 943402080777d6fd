/** The packages of the protocol, which are loaded when the first server is connected. */
export interface Packages {
  readonly client: typeof import('@modelcontextprotocol/client');
  readonly stdio: typeof import('@modelcontextprotocol/client/stdio');
  readonly ajv: typeof import('@modelcontextprotocol/client/validators/ajv');
}

export async function loadPackages(): Promise<Packages> {
  const [client, stdio, ajv] = await Promise.all([
    import('@modelcontextprotocol/client'),
    import('@modelcontextprotocol/client/stdio'),
    import('@modelcontextprotocol/client/validators/ajv'),
  ]);
  return { client, stdio, ajv };
}
