import { accountOf } from '../aws/config.ts';
import { unknownRegion } from '../aws/regions.ts';
import { defineProvider } from '../provider.ts';
import { ParameterStoreConfig } from './config.ts';
import { checkKey, checkPath, checkVersion, namesOf } from './keys.ts';

export const awsParameterStore = defineProvider({
  kind: 'aws-parameter-store',
  title: 'AWS Systems Manager Parameter Store',
  Config: ParameterStoreConfig,
  names: ({ region }) => ({
    naming: { unlisted: 'arns' },
    hasTags: true,
    hasObjects: false,
    key: (key) => checkKey(key, region),
    version: checkVersion,
    search: checkPath,
  }),
  can: { tellVersions: false, findByTags: true, readsPerCall: 10 },
  // The account of the role is part of the identity of a store. Another account contains other parameters, so those of
  // the first account would look deleted.
  identity: ({ kind, region, endpoint, auth }) => ({ kind, region, endpoint, account: accountOf(auth) }),
  // An endpoint may belong to a compatible service with regions of its own.
  warning({ region, endpoint }) {
    const message = endpoint === undefined ? unknownRegion(region) : undefined;
    return message === undefined ? undefined : { field: 'region', message };
  },
  keyNames: namesOf,
  async create(config, deps) {
    const { openParameterStore } = await import('./open.ts');
    return openParameterStore(config, deps);
  },
});
