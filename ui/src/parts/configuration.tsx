import type { VNode } from 'preact';
import { WithCode } from '../format.tsx';
import type { Status } from '../types.ts';

/** Which replicas have another configuration. */
export function ConfigDifferences({ status: { config } }: { readonly status: Status }): VNode | null {
  const names = config?.differing ?? [];
  if (names.length === 0) return null;
  return (
    <div class="notice warn">
      <p>
        <strong>Some replicas have another configuration: </strong>
        {`${names.join(', ')}. Deletions of removed targets wait until all replicas agree.`}
      </p>
    </div>
  );
}

/** Why the configuration files are not in force. */
export function ConfigProblems({ status: { config } }: { readonly status: Status }): VNode | null {
  if (config === undefined || config.valid) return null;
  return (
    <div class="notice bad">
      <p>
        <strong>The configuration files are not valid. </strong>
        The last valid configuration stays in use.
      </p>
      <ul>
        {config.problems.map(({ file, line, path, message, suggestion }) => (
          <li key={`${file}:${line} ${path} ${message}`}>
            {file !== undefined && <code>{line === undefined ? file : `${file}:${line}`}</code>}{' '}
            {path !== undefined && <code>{path}</code>} {message !== undefined && <WithCode text={message} />}{' '}
            {suggestion !== undefined && <WithCode text={suggestion} />}
          </li>
        ))}
      </ul>
    </div>
  );
}
