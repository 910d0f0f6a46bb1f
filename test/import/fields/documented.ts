/** The names of fields, separated by spaces. */
type Fields = string;

/**
 * The fields of each tool, by the group of the table that has them. They come from the schemas of the kinds, or from the
 * documentation where a schema allows any field. A reference to an object counts as one field. With an empty title, any
 * group of the table may have the field.
 */
export const DOCUMENTED: Readonly<Record<string, Readonly<Record<string, Fields>>>> = {
  'external-secrets': {
    'Fields of an ExternalSecret': `
      dataFrom[].extract.conversionStrategy dataFrom[].extract.decodingStrategy dataFrom[].extract.key
      dataFrom[].extract.metadataPolicy dataFrom[].extract.nullBytePolicy dataFrom[].extract.property
      dataFrom[].extract.version dataFrom[].find.conversionStrategy dataFrom[].find.decodingStrategy
      dataFrom[].find.name.regexp dataFrom[].find.nullBytePolicy dataFrom[].find.path dataFrom[].find.tags
      dataFrom[].rewrite[].merge.conflictPolicy dataFrom[].rewrite[].merge.into
      dataFrom[].rewrite[].merge.priority dataFrom[].rewrite[].merge.priorityPolicy
      dataFrom[].rewrite[].merge.strategy dataFrom[].rewrite[].regexp.source dataFrom[].rewrite[].regexp.target
      dataFrom[].rewrite[].transform.template dataFrom[].sourceRef.generatorRef dataFrom[].sourceRef.storeRef
      data[].remoteRef.conversionStrategy data[].remoteRef.decodingStrategy data[].remoteRef.key
      data[].remoteRef.metadataPolicy data[].remoteRef.nullBytePolicy data[].remoteRef.property
      data[].remoteRef.version data[].secretKey data[].sourceRef.generatorRef data[].sourceRef.storeRef
      refreshInterval refreshPolicy secretStoreRef syncWindows.kind syncWindows.windows[].duration
      syncWindows.windows[].schedule target.creationPolicy target.deletionPolicy target.immutable
      target.manifest.apiVersion target.manifest.kind target.name
    `,
    'Fields of a template': `
      template.data template.engineVersion template.mergePolicy template.metadata.annotations
      template.metadata.finalizers template.metadata.labels template.templateFrom[].configMap.items[].key
      template.templateFrom[].configMap.items[].templateAs template.templateFrom[].configMap.name
      template.templateFrom[].literal template.templateFrom[].secret.items[].key
      template.templateFrom[].secret.items[].templateAs template.templateFrom[].secret.name
      template.templateFrom[].target template.templateFrom[].valuesDecodingStrategy template.type
    `,
    'Fields of a ClusterExternalSecret': `
      externalSecretMetadata.annotations externalSecretMetadata.labels externalSecretName externalSecretSpec
      namespaceSelector.matchExpressions namespaceSelector.matchLabels namespaceSelectors[].matchExpressions
      namespaceSelectors[].matchLabels namespaces refreshTime
    `,
    'Fields of a store': `
      conditions[].namespaceRegexes conditions[].namespaceSelector.matchExpressions
      conditions[].namespaceSelector.matchLabels conditions[].namespaces controller refreshInterval
      retrySettings.maxRetries retrySettings.retryInterval
    `,
    'Fields of provider.vault': `
      auth.appRole.path auth.appRole.roleId auth.appRole.roleRef auth.appRole.secretRef auth.cert.clientCert
      auth.cert.path auth.cert.secretRef auth.cert.vaultRole auth.gcp.location auth.gcp.path auth.gcp.projectID
      auth.gcp.role auth.gcp.secretRef.secretAccessKeySecretRef auth.gcp.serviceAccountRef
      auth.gcp.workloadIdentity.clusterLocation auth.gcp.workloadIdentity.clusterName
      auth.gcp.workloadIdentity.clusterProjectID auth.gcp.workloadIdentity.serviceAccountRef auth.iam.externalID
      auth.iam.jwt.serviceAccountRef auth.iam.path auth.iam.region auth.iam.role
      auth.iam.secretRef.accessKeyIDSecretRef auth.iam.secretRef.secretAccessKeySecretRef
      auth.iam.secretRef.sessionTokenSecretRef auth.iam.vaultAwsIamServerID auth.iam.vaultRole
      auth.jwt.kubernetesServiceAccountToken.audiences auth.jwt.kubernetesServiceAccountToken.expirationSeconds
      auth.jwt.kubernetesServiceAccountToken.serviceAccountRef auth.jwt.path auth.jwt.role auth.jwt.secretRef
      auth.kubernetes.mountPath auth.kubernetes.role auth.kubernetes.secretRef auth.kubernetes.serviceAccountRef
      auth.ldap.path auth.ldap.secretRef auth.ldap.username auth.namespace auth.tokenSecretRef auth.userPass.path
      auth.userPass.secretRef auth.userPass.username caBundle caProvider checkAndSet.required forwardInconsistent
      headers namespace path readYourWrites server tls.certSecretRef tls.keySecretRef version
    `,
    'Fields of provider.openBao': `
      auth.appRole.path auth.appRole.roleId auth.appRole.roleRef auth.appRole.secretRef auth.namespace
      auth.tokenSecretRef auth.userPass.path auth.userPass.secretRef auth.userPass.username caBundle caProvider
      namespace path server version
    `,
    'Fields of provider.aws': `
      additionalRoles auth.jwt.serviceAccountRef auth.secretRef.accessKeyIDSecretRef
      auth.secretRef.secretAccessKeySecretRef auth.secretRef.sessionTokenSecretRef customSessionTags externalID
      prefix region role secretsManager.forceDeleteWithoutRecovery secretsManager.recoveryWindowInDays service
      sessionTagsPolicy sessionTags[].key sessionTags[].value transitiveTagKeys
    `,
    'Fields of provider.azurekv': `
      authSecretRef.clientCertificate authSecretRef.clientId authSecretRef.clientSecret authSecretRef.tenantId
      authType customCloudConfig.activeDirectoryEndpoint customCloudConfig.keyVaultDNSSuffix
      customCloudConfig.keyVaultEndpoint customCloudConfig.resourceManagerEndpoint environmentType identityId
      serviceAccountRef tenantId useAzureSDK vaultUrl
    `,
  },
  'secrets-store-csi': {
    SecretProviderClass: `
      provider secretObjects[].annotations secretObjects[].data[].key secretObjects[].data[].objectName
      secretObjects[].labels secretObjects[].secretName secretObjects[].type
    `,
    'Volumes of pods': `
      nodePublishSecretRef readOnly volumeAttributes.secretProviderClass
    `,
    'Azure: parameters': `
      clientID cloudEnvFileName cloudName keyvaultName objects tenantID tenantId useAzureTokenProxy usePodIdentity
      useVMManagedIdentity userAssignedIdentityID
    `,
    'Azure: objects': `
      filePermission objectAlias objectEncoding objectFormat objectName objectType objectVersion
      objectVersionHistory
    `,
    'AWS: parameters': `
      failoverRegion objects pathTranslation preferredAddressType region usePodIdentity
    `,
    'AWS: objects': `
      failoverObject.objectName failoverObject.objectVersion failoverObject.objectVersionLabel filePermission
      jmesPath[].filePermission jmesPath[].objectAlias jmesPath[].path objectAlias objectName objectType
      objectVersion objectVersionLabel
    `,
    'Vault: parameters': `
      audience objects roleName vaultAddress vaultAuthMountPath vaultCACertPath vaultCADirectory
      vaultKubernetesMountPath vaultNamespace vaultSkipTLSVerify vaultTLSClientCertPath vaultTLSClientKeyPath
      vaultTLSServerName
    `,
    'Vault: objects': `
      encoding filePermission method objectName secretArgs secretKey secretPath
    `,
  },
  'vault-secrets-operator': {
    VaultStaticSecret: `
      destination.annotations destination.create destination.labels destination.name destination.overwrite
      destination.type hmacSecretData mount namespace path refreshAfter rolloutRestartTargets[].kind
      rolloutRestartTargets[].name syncConfig.instantUpdates type vaultAuthRef version
    `,
    'destination.transformation': `
      excludeRaw excludes includes templates.*.name templates.*.text transformationRefs[].ignoreExcludes
      transformationRefs[].ignoreIncludes transformationRefs[].name transformationRefs[].namespace
      transformationRefs[].templateRefs[].keyOverride transformationRefs[].templateRefs[].name
    `,
    SecretTransformation: `
      excludes includes sourceTemplates[].name sourceTemplates[].text templates.*.name templates.*.text
    `,
    VaultAuth: `
      allowedNamespaces appRole.roleId appRole.secretIDPath appRole.secretRef aws.headerValue aws.iamEndpoint
      aws.irsaServiceAccount aws.region aws.role aws.secretRef aws.sessionName aws.stsEndpoint gcp.clusterName
      gcp.projectID gcp.region gcp.role gcp.workloadIdentityServiceAccount headers jwt.audiences jwt.role
      jwt.secretRef jwt.serviceAccount jwt.tokenExpirationSeconds kubernetes.audiences kubernetes.role
      kubernetes.serviceAccount kubernetes.tokenExpirationSeconds method mount namespace params
      storageEncryption.keyName storageEncryption.mount vaultAuthGlobalRef vaultAuthGlobalRef.allowDefault
      vaultAuthGlobalRef.mergeStrategy.headers vaultAuthGlobalRef.mergeStrategy.params vaultConnectionRef
    `,
    VaultAuthGlobal: `
      allowedNamespaces appRole.headers appRole.mount appRole.namespace appRole.params appRole.roleId
      appRole.secretIDPath appRole.secretRef aws.headerValue aws.headers aws.iamEndpoint aws.irsaServiceAccount
      aws.mount aws.namespace aws.params aws.region aws.role aws.secretRef aws.sessionName aws.stsEndpoint
      defaultAuthMethod defaultMount defaultVaultNamespace gcp.clusterName gcp.headers gcp.mount gcp.namespace
      gcp.params gcp.projectID gcp.region gcp.role gcp.workloadIdentityServiceAccount headers jwt.audiences
      jwt.headers jwt.mount jwt.namespace jwt.params jwt.role jwt.secretRef jwt.serviceAccount
      jwt.tokenExpirationSeconds kubernetes.audiences kubernetes.headers kubernetes.mount kubernetes.namespace
      kubernetes.params kubernetes.role kubernetes.serviceAccount kubernetes.tokenExpirationSeconds params
      vaultConnectionRef
    `,
    VaultConnection: `
      address caCertPath caCertSecretRef headers skipTLSVerify timeout tlsServerName
    `,
  },
  'kubernetes-external-secrets': {
    '': `
      backendType controllerId data[].isBinary data[].key data[].name data[].path data[].property data[].recursive
      data[].secretType data[].version data[].versionId data[].versionStage dataFrom
      dataFromWithOptions[].isBinary dataFromWithOptions[].key dataFromWithOptions[].versionId
      dataFromWithOptions[].versionStage keyByName keyVaultName kvVersion projectId region roleArn template type
      vaultMountPoint vaultRole
    `,
  },
};
