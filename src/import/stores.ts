import { awsStore } from './aws.ts';
import { azureStore } from './azure.ts';
import { createNode, type Node } from './node.ts';
import type { Store, StoreContext } from './store.ts';
import { vaultStore } from './vault.ts';

export function convertStore(context: StoreContext): Store | undefined {
  const { object, notes } = context;
  const spec = createNode(object.spec, 'spec', notes);
  // Ignore retry settings, check interval and controller class, which have no equivalent. The `access` rules are
  // derived from `conditions`.
  spec.ignore('retrySettings', 'refreshInterval', 'controller', 'conditions');
  const provider = spec.child('provider');
  const store = provider === undefined ? undefined : convertProvider(provider, context);
  spec.finish();
  if (provider === undefined)
    notes.lost('spec.provider', 'is missing', 'Fix the object, and import it again.');
  return notes.incomplete ? undefined : store;
}

function convertProvider(provider: Node, context: StoreContext): Store | undefined {
  const vault = provider.child('vault') ?? provider.child('openBao');
  if (vault !== undefined) return vaultStore(vault, context);
  const aws = provider.child('aws');
  if (aws !== undefined) return awsStore(aws, context);
  const azure = provider.child('azurekv');
  if (azure !== undefined) return azureStore(azure, context);
  const [kind = 'none'] = Object.keys(
    typeof context.object.spec.provider === 'object' ? (context.object.spec.provider ?? {}) : {},
  );
  provider.ignore(kind);
  context.notes.lost(
    `spec.provider.${kind}`,
    'is a kind of store that secretbridge does not read; it reads Vault, OpenBao, AWS Secrets Manager, Azure Key Vault and files',
    'Keep the objects that use it with External Secrets, or move its values into one of these stores.',
  );
  return undefined;
}
