import { mount } from 'svelte'

import Terminal from './pages/terminal/Terminal.svelte'
import './style.css'

const target = document.getElementById('app')
if (target) mount(Terminal, { target })
