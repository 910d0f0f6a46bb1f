import { createSecureContext, getCACertificates } from 'node:tls';
import { buildConnector } from 'undici';
import { readAuthorities, readPem } from '../../core/small-file.ts';
import { readFileWithTimeout } from '../file-io.ts';
import type { VaultConfig } from './config.ts';

/** The contents of the configured PEM files. */
interface Files {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/**
 * Creates a function that opens connections. Trusts the authorities in `tls.caFile` instead of the default authorities,
 * if this file is configured. Always trusts NODE_EXTRA_CA_CERTS. Reads the files for each connection, because
 * certificates are rotated at run time. If a file cannot be read, the connection fails with CONFIG_INVALID, or with
 * CREDENTIAL_MISSING if the certificate is the login.
 */
export function createConnector(config: VaultConfig): buildConnector.connector {
  let latest: { readonly files: Files; readonly connect: buildConnector.connector } | undefined;
  const connectorOfNow = async (): Promise<buildConnector.connector> => {
    const files = await readFiles(config);
    // As long as the files stay the same, use the same connector, so that TLS sessions can be resumed.
    if (latest === undefined || !same(latest.files, files)) {
      latest = { files, connect: connectorWith(files, config.tls?.serverName) };
    }
    return latest.connect;
  };
  return (options, callback) => {
    const fail = (error: unknown) =>
      callback(error instanceof Error ? error : new Error('no connection'), null);
    connectorOfNow().then((connect) => {
      try {
        connect(options, callback);
      } catch (error) {
        fail(error); // OpenSSL has rejected the certificate or the key
      }
    }, fail);
  };
}

function connectorWith({ ca, cert, key }: Files, serverName: string | undefined): buildConnector.connector {
  // Create one context for all connections, because parsing the authorities takes longer than a request.
  const secureContext =
    ca === undefined && cert === undefined && key === undefined
      ? undefined
      : createSecureContext({
          ...(ca === undefined ? {} : { ca: [...getCACertificates('extra'), ca] }),
          ...(cert === undefined ? {} : { cert }),
          ...(key === undefined ? {} : { key }),
        });
  const connect = buildConnector({
    allowH2: false, // undici 8 hangs after a GOAWAY frame
    timeout: 10_000,
    rejectUnauthorized: true, // NODE_TLS_REJECT_UNAUTHORIZED must not turn off this check.
    ...(secureContext === undefined ? {} : { secureContext }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  });
  return (options, callback) =>
    connect(options, (...result) => {
      const [, socket] = result;
      // Keeps the TLS error of a rejected client certificate. With TLS 1.3 the server rejects the certificate after the
      // handshake and closes the connection, and undici would report only the close.
      socket?.once('error', (error) => socket.destroy(error));
      callback(...result);
    });
}

async function readFiles({ tls, auth }: VaultConfig): Promise<Files> {
  const isLogin = auth.method === 'cert';
  const client = isLogin ? auth : tls;
  const code = isLogin ? 'CREDENTIAL_MISSING' : 'CONFIG_INVALID';
  const [ca, cert, key] = await Promise.all([
    tls?.caFile === undefined
      ? undefined
      : readAuthorities(tls.caFile, { code: 'CONFIG_INVALID', read: readFileWithTimeout }),
    client?.certFile === undefined
      ? undefined
      : readPem(client.certFile, { code, read: readFileWithTimeout }),
    client?.keyFile === undefined ? undefined : readPem(client.keyFile, { code, read: readFileWithTimeout }),
  ]);
  return { ca, cert, key };
}

function same(a: Files, b: Files): boolean {
  return a.ca === b.ca && a.cert === b.cert && a.key === b.key;
}
