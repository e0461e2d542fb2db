// SPDX-License-Identifier: MIT
//
// Types that no package has yet, as far as the manifests use them.

import type { IHTTPRoute as Released } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1';
import type { IIoK8sApimachineryPkgApisMetaV1ObjectMeta as ObjectMeta } from '@kubernetes-models/apimachinery/apis/meta/v1/ObjectMeta';

// Gateway API 1.7, experimental channel: sessionPersistence has other fields.
type Rule = Omit<NonNullable<Released['spec']['rules']>[number], 'sessionPersistence'> & {
  sessionPersistence?: {
    absoluteTimeout?: string;
    type: 'Cookie';
    cookie: { name?: string; path?: string; lifetimeType?: 'Session' };
  };
};
export interface IHTTPRoute extends Omit<Released, 'spec'> {
  spec: Omit<Released['spec'], 'rules'> & { rules: Rule[] };
}

// cloud.google.com/v1
export interface IBackendConfig {
  apiVersion: 'cloud.google.com/v1';
  kind: 'BackendConfig';
  metadata: ObjectMeta;
  spec: {
    timeoutSec?: number;
    connectionDraining?: { drainingTimeoutSec: number };
    sessionAffinity?: {
      affinityType: 'CLIENT_IP' | 'GENERATED_COOKIE' | 'NONE';
      affinityCookieTtlSec?: number;
    };
    healthCheck?: {
      type: 'HTTP' | 'HTTPS' | 'HTTP2';
      port?: number;
      requestPath?: string;
      checkIntervalSec?: number;
      timeoutSec?: number;
      healthyThreshold?: number;
      unhealthyThreshold?: number;
    };
  };
}
