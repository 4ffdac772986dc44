"""Why a condition is what it is: one word for programs, one sentence for people.

Events, the CLI and the console show the same words.
"""

from __future__ import annotations

from virtualserver.api.explained import Explained, Word

__all__ = ["Reason"]


class Reason(Explained):
    """Every reason that a VirtualServer's conditions and events use; ``sentence`` says what it means.

    Source: the first group is in use by existing clients; the others are additions where none of those fits.
    """

    INITIALIZING = Word("Initializing", "The server was accepted and nothing has been done for it yet.")
    PENDING = Word("Pending", "The machine is about to start.")
    TERMINATING = Word("Terminating", "The server is being deleted.")
    FAILED = Word("Failed", "The machine cannot run.")
    VIRTUAL_SERVER_READY = Word("VirtualServerReady", "The server runs and answers on its addresses.")
    VIRTUAL_SERVER_STARTED = Word("VirtualServerStarted", "The machine runs.")
    VIRTUAL_SERVER_STOPPED = Word("VirtualServerStopped", "The machine is stopped.")
    VIRTUAL_MACHINE_INSTANCE_SHUTDOWN = Word("VirtualMachineInstanceShutdown", "The guest has shut itself down.")
    DEFINITION_DEPRECATED = Word("DefinitionDeprecated", "The manifest uses a definition that is no longer kept up.")
    SERVICES_CREATED = Word("ServicesCreated", "The Services exist and wait for their addresses.")
    WAITING_FOR_SERVICES = Word("WaitingForServices", "The Services are not there yet.")
    SERVICES_READY = Word("ServicesReady", "Every Service has what it needs.")
    VIRTUAL_MACHINE_NAME_TAKEN = Word(
        "VirtualMachineNameTaken",
        "A VirtualMachine of this name exists that belongs to something else.",
    )
    VIRTUAL_MACHINE_READY = Word("VirtualMachineReady", "The VirtualMachine exists and takes start and stop commands.")
    SECRET_CREATED = Word("SecretCreated", "The Secret with the guest's configuration exists.")
    WAITING_FOR_SECRET = Word("WaitingForSecret", "A Secret that the manifest names is not there yet.")
    ROOT_DISK_RESIZE_IN_PROGRESS = Word("RootDiskResizeinProgress", "The root disk is growing.")

    STARTING = Word("Starting", "The machine is starting.")
    STOPPING = Word("Stopping", "The machine is shutting down.")
    PROVISIONING = Word("Provisioning", "The root disk is being made from its image.")
    WAITING_FOR_GUEST = Word("WaitingForGuest", "The guest has not taken its address since this start.")
    WAITING_FOR_DATA_PLANE = Word("WaitingForDataPlane", "The addresses and ports are not in the data plane yet.")
    WAITING_FOR_ADDRESS = Word("WaitingForAddress", "A load balancer address has not been granted yet.")
    WAITING_FOR_NETWORK = Word("WaitingForNetwork", "A VPC that the manifest names does not exist yet.")
    NETWORK_NOT_SUPPORTED = Word("NetworkNotSupported", "A VPC's definition asks for what is not carried out here.")
    PROBE_FAILING = Word("ProbeFailing", "The readiness probe does not succeed.")
    NOT_SUPPORTED_YET = Word("NotSupportedYet", "The manifest asks for something that this version does not carry out.")
    INVALID_SPEC = Word("InvalidSpec", "The manifest contradicts itself or the rules.")
    INVALID_CLOUD_INIT = Word("InvalidCloudInit", "cloudInit is nothing that the guest reads, or too large.")
    SERVICE_NAME_TAKEN = Word("ServiceNameTaken", "A Service of a needed name exists that belongs to something else.")
    SECRET_NAME_TAKEN = Word(
        "SecretNameTaken",
        "A Secret of a needed name exists that belongs to something else.",
    )
    DATA_VOLUME_NAME_TAKEN = Word(
        "DataVolumeNameTaken",
        "A DataVolume or claim of the server's name exists that belongs to something else.",
    )
    MAC_ADDRESS_TAKEN = Word("MACAddressTaken", "Another server has this MAC address.")
    POOL_EXHAUSTED = Word("PoolExhausted", "The address pool has no free address.")
    POOL_UNKNOWN = Word("PoolUnknown", "The address pool does not exist.")
    ADDRESS_IN_USE = Word("AddressInUse", "The address belongs to another Service.")
    ADDRESS_PROBING = Word("AddressProbing", "The uplink is being asked whether somebody there has the address.")
    PORT_IN_USE = Word("PortInUse", "A port of the machine's own address belongs to a process or to another Service.")
    HOST_ADDRESS = Word("HostAddress", "The pool is the machine's own address, which no server can have for itself.")
    ADDRESS_QUOTA_EXCEEDED = Word(
        "AddressQuotaExceeded", "The namespace has as many addresses of the pool as it may have."
    )
    ADDRESS_COOLING_DOWN = Word("AddressCoolingDown", "Another namespace gave the address back a moment ago.")
    ADDRESS_NOT_IN_POOL = Word("AddressNotInPool", "The address is in no pool that may be asked for it.")
    FLOATING_SERVICE_MISSING = Word("FloatingServiceMissing", "The Service of a floating address does not exist.")
    FLOATING_SERVICE_CLAIMED = Word("FloatingServiceClaimed", "Another server has the floating address.")
    FLOATING_SERVICE_UNFIT = Word("FloatingServiceUnfit", "A Service cannot lend its address as a floating one.")
    IMAGE_NOT_FOUND = Word("ImageNotFound", "The root disk's source does not exist.")
    INSUFFICIENT_MEMORY = Word("InsufficientMemory", "The machine's memory does not fit beside those that run.")
    MEMORY_EXCEEDS_MACHINE = Word("MemoryExceedsMachine", "The server asks for more memory than the machine has.")
    DISK_REFUSED = Word("DiskRefused", "The root disk cannot be made before somebody changes something.")
    RESTART_REQUIRED = Word("RestartRequired", "A change takes effect at the next start.")
    FIRST_START_ONLY = Word("FirstStartOnly", "A change is of what a guest is told at its first start only.")
    FULLY_APPLIED = Word("FullyApplied", "Everything that the manifest asks for is honoured.")
    PARTLY_APPLIED = Word("PartlyApplied", "Some fields of the manifest have no effect here.")
    SET_ASIDE = Word("SetAside", "A look at the server held up all others, so it is left alone for a while.")
    ERROR = Word("Error", "Something unexpected happened; it is tried again.")
