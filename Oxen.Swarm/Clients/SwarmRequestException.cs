namespace Oxen.Swarm.Clients;

/// <summary>The swarm refused, or nobody of it answered.</summary>
public sealed class SwarmRequestException : Exception
{
    public SwarmRequestException()
    {
    }

    public SwarmRequestException(string message)
        : base(message)
    {
    }

    public SwarmRequestException(string message, Exception inner)
        : base(message, inner)
    {
    }

    /// <summary>Makes one.</summary>
    /// <param name="status">Status code of the storage API; 0: no answer.</param>
    /// <param name="message">The node's words.</param>
    public SwarmRequestException(int status, string message)
        : base(message) => Status = status;

    /// <summary>Status code of the storage API; 0: no answer.</summary>
    public int Status { get; }
}
