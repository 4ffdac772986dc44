/** What pages read of a VirtualServer. */
import type { Manifest } from './client'

export interface Condition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason?: string
  readonly message?: string
  readonly lastTransitionTime?: string
}

export interface VirtualServer extends Manifest {
  readonly spec?: {
    readonly region?: string
    readonly terminationGracePeriodSeconds?: number
    readonly users?: readonly { readonly username?: string }[]
    readonly network?: {
      readonly directAttachLoadBalancerIP?: boolean
      readonly disableK8sNetworking?: boolean
      readonly tcp?: { readonly ports?: readonly number[] }
      readonly vpcs?: readonly { readonly name?: string }[]
    }
    readonly os?: { readonly type?: string }
    readonly resources?: {
      readonly cpu?: { readonly type?: string; readonly count?: number }
      readonly gpu?: { readonly type?: string; readonly count?: number }
      readonly memory?: string | number
    }
  }
  readonly status?: {
    readonly network?: {
      readonly internalIP?: string
      readonly externalIP?: string
      readonly serviceIP?: string
      readonly floatingIPs?: Readonly<Record<string, string>>
    }
    readonly conditions?: readonly Condition[]
  }
}
