/** Told of each change that a cluster is asked for, by the verb that RBAC knows it under. */
export type OnWrite = (verb: 'create' | 'update' | 'patch' | 'delete') => void;
