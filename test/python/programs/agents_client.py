"""OpenAI's Agents SDK. The last message names the script that the model server plays: the results of tools do, too."""

from agents import Agent, OpenAIProvider, RunConfig, Runner, SQLiteSession, function_tool, set_tracing_disabled
from cases import run

set_tracing_disabled(True)


@function_tool
def get_weather(city: str) -> str:
    return "text"


def config(url: str, **more: object) -> RunConfig:
    return RunConfig(model_provider=OpenAIProvider(base_url=f"{url}/v1", api_key="any", **more))


def guide(**more: object) -> Agent:
    return Agent(name="Guide", instructions="Be brief", model="openai/m", **more)


async def streamed(agent: Agent, config: RunConfig):
    result = Runner.run_streamed(agent, "calls", run_config=config)
    text = ""
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            text += event.data.delta
    return [text, result.final_output]


async def tools(url: str):
    result = await Runner.run(guide(tools=[get_weather]), "calls", run_config=config(url))
    return [result.final_output, [item.type for item in result.new_items]]


async def tools_streamed(url: str):
    return await streamed(guide(tools=[get_weather]), config(url))


async def tools_over_a_socket(url: str):
    return await streamed(guide(tools=[get_weather]), config(url, use_responses_websocket=True))


async def tools_with_chat_completions(url: str):
    return await streamed(guide(tools=[get_weather]), config(url, use_responses=False))


async def handoff(url: str):
    expert = Agent(name="Expert", model="openai/m")
    result = await Runner.run(guide(handoffs=[expert]), "hands over", run_config=config(url))
    return [result.last_agent.name, result.final_output]


async def previous_response(url: str):
    first = await Runner.run(guide(), "text", run_config=config(url))
    second = await Runner.run(
        guide(), "text", run_config=config(url), previous_response_id=first.last_response_id
    )
    return second.final_output


async def session(url: str):
    remembered = SQLiteSession("s")
    for _ in range(2):
        result = await Runner.run(guide(), "text", run_config=config(url), session=remembered)
    return [result.final_output, len(await remembered.get_items())]


if __name__ == "__main__":
    run(
        tools,
        tools_streamed,
        tools_over_a_socket,
        tools_with_chat_completions,
        handoff,
        previous_response,
        session,
    )
