namespace Oxen.Router.Exit;

/// <summary>Why an exit's address translation cannot be set up.</summary>
internal enum ExitNatFault
{
    /// <summary>The program nft is not installed.</summary>
    NoNft,

    /// <summary>CAP_NET_ADMIN is missing.</summary>
    NotPermitted,

    /// <summary>Another living process of ours has an exit with this interface here.</summary>
    NameTaken,

    /// <summary>The kernel's forwarding is off and cannot be turned on.</summary>
    ForwardingLocked,

    /// <summary>What is changed could not be written down for later.</summary>
    NoJournal,

    /// <summary>nft or the kernel refuses, for a reason in the words.</summary>
    Refused,
}

/// <summary>The exit's address translation cannot be set up or taken back. The message says what and why.</summary>
internal sealed class ExitNatException(ExitNatFault fault, string message, Exception? inner = null) : IOException(message, inner)
{
    public ExitNatFault Fault { get; } = fault;
}
