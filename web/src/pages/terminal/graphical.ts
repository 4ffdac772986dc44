/** The screen of a guest: pictures, by RFB. */
import RFB from '@novnc/novnc'

import type { Display } from './display'
import { keysOf } from './keys'

export function open(host: HTMLElement): Display {
  let screen: RFB | null = null
  return {
    connect(socket) {
      host.replaceChildren()
      screen = new RFB(host, socket)
      screen.scaleViewport = true
      screen.focusOnClick = true
    },
    focus: () => screen?.focus(),
    type(text) {
      for (const key of keysOf(text)) screen?.sendKey(key, '')
    },
    restart: () => screen?.sendCtrlAltDel(),
  }
}
